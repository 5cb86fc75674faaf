"""Runs: the scripts that apply a plan on the servers, and their results."""
