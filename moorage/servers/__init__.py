"""Connections to servers, and the facts read from them."""
