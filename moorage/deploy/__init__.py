"""Plans, runs and verifies deployments."""
