"""Step: DNS."""
