"""Detect whether the wizard can be shown."""

from __future__ import annotations

import os
import sys


def has_terminal() -> bool:
    """Return whether there is a terminal, or a browser in its place."""
    if os.environ.get("TEXTUAL_DRIVER", "").startswith("textual.drivers.web_driver:"):
        return True
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
