"""One folder per screen of the wizard. No screen imports another."""
