"""``moorage users``: who may log in to the registry."""
