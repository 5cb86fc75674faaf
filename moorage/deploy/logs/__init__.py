"""Logs of the registry and nginx."""
