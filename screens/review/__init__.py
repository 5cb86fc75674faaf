"""Step: review of the plan."""
