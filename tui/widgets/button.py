"""Buttons whose label changes."""

from __future__ import annotations

from textual.content import ContentText
from textual.widgets import Button


def relabel(button: Button, label: ContentText) -> None:
    """Change a button's label, and its width with it, which Textual keeps by itself.

    Args:
        button: The button.
        label: The new label.
    """
    button.label = label
    button.refresh(layout=True)
