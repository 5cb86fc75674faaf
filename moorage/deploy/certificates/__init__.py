"""Certificates: the private authority, ACME, and the certificate that clients see."""
