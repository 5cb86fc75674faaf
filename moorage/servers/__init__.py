"""How servers are reached and what is read from them."""
