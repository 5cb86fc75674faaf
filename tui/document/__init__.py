"""The answers being edited: the draft, its steps and problems, and how it is stored."""
