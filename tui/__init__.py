"""The wizard: a Textual application over the engine in ``moorage``."""
