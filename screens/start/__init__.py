"""The start: recent deployments, and the ways into a new, a saved or a running one."""
