"""The commands ``moorage images ...``."""
