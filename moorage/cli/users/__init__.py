"""``moorage users``: manage the registry's users."""
