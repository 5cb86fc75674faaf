"""Templates and shell scripts for the servers."""
