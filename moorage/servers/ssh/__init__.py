"""SSH: configuration, keys, authentication, known hosts, channels."""
