"""The registry's images as they are stored: what is there, what is alive, what can go.

Only the standard library is used here, because the same modules run on a server.
"""
