"""The users on the servers."""
