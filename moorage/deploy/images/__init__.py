"""Images: read, delete, collect and restore them; who pushed and pulled them."""
