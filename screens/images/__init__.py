"""Images: what the registry stores, by repository and tag."""
