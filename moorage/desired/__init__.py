"""What the answers mean for one server, as pure functions."""
