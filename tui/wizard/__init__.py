"""The wizard around its steps: frame, list of steps, forms, live preview."""
