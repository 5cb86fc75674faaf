"""Programs and deployments over time: upgrade, roll back, compare, uninstall."""
