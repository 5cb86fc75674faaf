"""Dashboard: the state of a deployment."""
