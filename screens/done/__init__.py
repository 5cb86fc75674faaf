"""Done: the report of an apply, and how clients log in."""
