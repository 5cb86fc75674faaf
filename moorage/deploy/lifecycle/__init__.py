"""Deployments over time: upgrade, roll back, compare, uninstall."""
