"""DNS: what the registry's name leads to, and who changes that."""
