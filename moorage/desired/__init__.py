"""Derive a server's desired state from the answers. Pure functions."""
