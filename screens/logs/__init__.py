"""Logs of all servers."""
