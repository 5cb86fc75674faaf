"""What one call of the command line did."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass
class Outcome:
    """What one call of the command line did."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Stdout as one JSON value."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        """Stdout as JSON Lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def result(self) -> Any:
        """The last line of JSON Lines."""
        return self.lines[-1]
