"""Step: storage."""
