"""The wizard in a browser."""
