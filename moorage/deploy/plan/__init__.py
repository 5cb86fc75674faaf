"""Plans: the changes that a run will make, their consequences, and what prevents them."""
