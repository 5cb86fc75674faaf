"""Show generated passwords once, or write them to a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.cli.errors import WrongUsageError
from moorage.cli.output import Output

if TYPE_CHECKING:
    from moorage.answers.secrets import Secret
    from moorage.deploy.run.report import ApplyReport


@dataclass
class PasswordOutput:
    """The destination of one command's generated passwords.

    Attributes:
        file: The new file to write them to, or None.
        on_stdout: Whether to print them on stdout.
    """

    file: Path | None
    on_stdout: bool
    _is_json: bool = False
    _passwords: dict[str, Secret] = field(default_factory=dict)

    @classmethod
    def choose(cls, output: Output, file: Path | None, show: bool) -> PasswordOutput:
        """Return the destination that the options select.

        Args:
            output: The output.
            file: The file of ``--passwords-to``, if given.
            show: Whether ``--show-passwords`` was given.

        Raises:
            WrongUsageError: The file exists or cannot be created, or stdout would mix JSON and
                passwords.
        """
        if show and output.as_json:
            raise WrongUsageError(
                "--show-passwords would put passwords into the JSON on stdout.",
                advice="Use --passwords-to FILE.",
            )
        if file is not None and os.path.lexists(file):
            raise WrongUsageError(
                f"{file} already exists; passwords are only written to a new file.",
                advice="Move it away or choose another name. If the apply that wrote it did not "
                "end, its passwords are not in effect.",
            )
        if file is not None:
            # Fail now rather than after the run.
            os.close(_create(file))
            file.unlink()
        at_terminal = output.is_interactive and output.stdout.is_terminal
        shows = show or (at_terminal and file is None and not output.as_json)
        return cls(file, shows, output.as_json)

    def check(self, generated: Mapping[str, Secret]) -> None:
        """Check that generated passwords can be delivered, before anything is changed.

        Args:
            generated: The passwords a plan would set, by user.

        Raises:
            WrongUsageError: They have no destination.
        """
        if generated and self.file is None and not self.on_stdout:
            raise WrongUsageError(
                f"No destination for the generated password of {', '.join(generated)}. Nothing was "
                "changed.",
                advice="Add --passwords-to FILE."
                if self._is_json
                else "Add --passwords-to FILE or --show-passwords.",
                code="passwords_unseen",
            )

    def store(self, generated: Mapping[str, Secret]) -> None:
        """Store the passwords a run is about to set.

        Writes the file before the run, so that they survive a crash of this process.

        Args:
            generated: The passwords, by user.

        Raises:
            WrongUsageError: The file cannot be created.
        """
        if self.file is not None and generated:
            self._write(self.file, generated)
        self._passwords = dict(generated)

    def discard_unused(self, report: ApplyReport) -> None:
        """Discard the passwords and their file if no server can have them.

        Args:
            report: The result of the run.
        """
        if any(each.may_have_changed for each in report.servers):
            return
        if self.file is not None and self._passwords:
            self.file.unlink(missing_ok=True)
        self._passwords = {}

    @property
    def users(self) -> list[str]:
        """The users with a new password, sorted."""
        return sorted(self._passwords)

    @property
    def written_to(self) -> Path | None:
        """The file with the new passwords, or None."""
        return self.file if self._passwords else None

    def show(self, output: Output) -> None:
        """Print the passwords, or the name of their file.

        Args:
            output: The output.
        """
        if not self._passwords:
            return
        if self.file is not None:
            output.message(f"The new passwords are in {self.file}.")
        if self.on_stdout:
            output.message("New passwords. They are not stored and will not be shown again:")
            for user, password in self._passwords.items():
                output.reveal(f"{user}:{password.reveal()}")

    def _write(self, path: Path, generated: Mapping[str, Secret]) -> None:
        with os.fdopen(_create(path), "w", encoding="utf-8") as file:
            for user, password in generated.items():
                file.write(f"{user}:{password.reveal()}\n")
            file.flush()
            os.fsync(file.fileno())


def _create(path: Path) -> int:
    """Create a new file and return its descriptor."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise WrongUsageError(
            f"Cannot create {path}: {error.strerror}. Nothing was changed.",
            advice="Choose another file with --passwords-to.",
        ) from error
