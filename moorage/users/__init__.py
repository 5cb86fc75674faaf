"""Who may log in to a registry: passwords, the users on servers, and changes to them."""
