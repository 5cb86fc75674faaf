"""Step: servers."""
