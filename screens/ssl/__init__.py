"""Step: SSL."""
