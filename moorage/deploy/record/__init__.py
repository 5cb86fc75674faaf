"""The record of what is deployed on a server and who changed it, deployment.json."""
