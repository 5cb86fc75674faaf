"""Step: advanced settings."""
