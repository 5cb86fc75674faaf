"""The logs screen and the lines it shows."""
