"""Review: the plan of an apply."""
