"""Moorage installs, secures and runs a private Docker registry on servers you own."""

__version__ = "0.1.0"
