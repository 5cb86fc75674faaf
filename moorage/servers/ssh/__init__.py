"""SSH connections: configuration, keys, authentication, known hosts, channels."""
