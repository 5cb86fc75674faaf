"""The wizard's frame: step list, forms and live preview."""
