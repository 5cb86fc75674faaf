"""Step: credentials."""
