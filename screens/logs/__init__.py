"""The logs screen and its filter."""
