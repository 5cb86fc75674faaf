"""DNS records of the registry's name, and the providers that change them."""
