"""One module per screen of the wizard. No screen imports another."""
