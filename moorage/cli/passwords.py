"""Where passwords that were just made are shown: once, and only where they were asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.cli.errors import WrongUsageError
from moorage.cli.session import Session
from moorage.servers.run_results import RunStatus

if TYPE_CHECKING:
    from moorage.answers.secrets import Secret
    from moorage.deploy.report import ApplyReport


@dataclass
class PasswordSink:
    """Takes the passwords of one apply.

    Attributes:
        file: The new file to write them to, or None.
        on_stdout: Whether they are shown on stdout.
    """

    file: Path | None
    on_stdout: bool
    _is_json: bool = False
    _taken: dict[str, Secret] = field(default_factory=dict)

    @classmethod
    def choose(cls, session: Session, file: Path | None, show: bool) -> PasswordSink:
        """Return where this session's passwords go.

        Args:
            session: The session.
            file: What ``--passwords-to`` said.
            show: What ``--show-passwords`` said.

        Raises:
            WrongUsageError: The file exists or cannot be made, or stdout was to hold JSON and
                passwords both.
        """
        if show and session.as_json:
            raise WrongUsageError(
                "--show-passwords would put passwords into the JSON on stdout.",
                advice="Use --passwords-to FILE.",
            )
        if file is not None and os.path.lexists(file):
            raise WrongUsageError(
                f"{file} is there already, and passwords are written to a new file only.",
                advice="Move it away or name another one.",
            )
        if file is not None:
            # That it can be made is known by making it.
            os.close(_make(file))
            file.unlink()
        at_terminal = session.is_interactive and session.stdout.is_terminal
        shows = show or (at_terminal and file is None and not session.as_json)
        return cls(file, shows, session.as_json)

    def check(self, generated: Mapping[str, Secret]) -> None:
        """Make sure that passwords can be handed over before anything is done.

        Args:
            generated: The passwords a plan would set, by user.

        Raises:
            WrongUsageError: There is nowhere to put them.
        """
        if generated and self.file is None and not self.on_stdout:
            raise WrongUsageError(
                f"A password would be made for {', '.join(generated)}, and there is nobody to show "
                "it to. Nothing was done.",
                advice="Add --passwords-to FILE."
                if self._is_json
                else "Add --passwords-to FILE or --show-passwords.",
                code="passwords_unseen",
            )

    def take(self, generated: Mapping[str, Secret]) -> None:
        """Keep the passwords a run is about to set.

        The file is written here, before the run, so that they outlive this process.

        Args:
            generated: The passwords, by user.

        Raises:
            WrongUsageError: The file cannot be made.
        """
        if self.file is not None and generated:
            self._write(self.file, generated)
        self._taken = dict(generated)

    def settle(self, report: ApplyReport) -> None:
        """Forget the passwords, the file too, when they were certainly not set anywhere.

        Args:
            report: How the run ended.
        """
        maybe_set = {RunStatus.DONE, RunStatus.LOST, RunStatus.INTERRUPTED}
        if any(each.status in maybe_set for each in report.servers):
            return
        if self.file is not None and self._taken:
            self.file.unlink(missing_ok=True)
        self._taken = {}

    @property
    def users(self) -> list[str]:
        """The users whose new passwords count, sorted."""
        return sorted(self._taken)

    @property
    def written_to(self) -> Path | None:
        """The file that has the new passwords; None when there is none."""
        return self.file if self._taken else None

    def show(self, session: Session) -> None:
        """Show the passwords, or say which file has them.

        Args:
            session: The session.
        """
        if not self._taken:
            return
        if self.file is not None:
            session.narrate(f"The new passwords are in {self.file}.")
        if self.on_stdout:
            session.narrate("New passwords, shown this once and kept nowhere:")
            for user, password in self._taken.items():
                session.reveal(f"{user}:{password.reveal()}")

    def _write(self, path: Path, generated: Mapping[str, Secret]) -> None:
        with os.fdopen(_make(path), "w", encoding="utf-8") as file:
            for user, password in generated.items():
                file.write(f"{user}:{password.reveal()}\n")
            file.flush()
            os.fsync(file.fileno())


def _make(path: Path) -> int:
    """Make a file that was not there, and return its descriptor."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise WrongUsageError(
            f"{path} cannot be made: {error.strerror}. Nothing was done.",
            advice="Name another file with --passwords-to.",
        ) from error
