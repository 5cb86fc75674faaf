"""The state of a deployment and its servers."""
