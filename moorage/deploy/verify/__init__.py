"""Verify: checks of the registry from outside."""
