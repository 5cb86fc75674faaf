"""An operator's workstation with the wizard in terminals."""

from __future__ import annotations

import sys
from pathlib import Path

from tmux import Terminal

import moorage

SOURCE = str(Path(moorage.__file__).parents[1])


class Workstation:
    """An operator's home folder and terminals."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / "state"
        self.terminals: list[Terminal] = []
        (home / ".ssh").mkdir(parents=True, mode=0o700, exist_ok=True)
        (home / "ssh_config").write_text(
            f"Host *\n  UserKnownHostsFile {home}/known_hosts\n  GlobalKnownHostsFile none\n"
        )

    def wizard(
        self, *arguments: str, size: tuple[int, int] = (120, 40), **environment: str
    ) -> Terminal:
        """Open the wizard in a terminal."""
        terminal = Terminal(
            [sys.executable, "-m", "moorage", *arguments],
            {
                "HOME": str(self.home),
                "MOORAGE_STATE": str(self.state),
                "MOORAGE_SSH_CONFIG": str(self.home / "ssh_config"),
                "PYTHONPATH": SOURCE,
                "SSH_AUTH_SOCK": "",
                **environment,
            },
            self.home,
            size,
        )
        self.terminals.append(terminal)
        return terminal
