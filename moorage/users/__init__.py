"""A registry's users: their passwords, the users on each server, and changes to them."""
