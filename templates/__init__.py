"""The files that land on servers, as templates and shell scripts."""
