"""``moorage images``: the registry's images, and the space they take up."""
