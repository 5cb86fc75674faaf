"""Deployed servers that tests get copies of: one apply for all tests that only need a registry."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import PASSWORD, CommandLine
from operator_at_work import Operator

from lab import Lab, LabServer
from lab.keys import ADMIN_PASSWORD
from lab.leaks import LeakWatch
from lab.process import ProcessIdentity
from lab.snapshots import Snapshot, replace_address


class _Secrets(LeakWatch):
    """Remembers the secrets to watch for, and watches nothing."""

    def __init__(self) -> None:
        super().__init__(list)
        self.added: list[tuple[str, Sequence[str], str | None]] = []

    def add(self, secret: str, allowed: Sequence[str] = (), *, label: str | None = None) -> None:
        """Remember a secret."""
        self.added.append((secret, allowed, label))


@dataclass(frozen=True)
class Deployed:
    """A deployed server's snapshot, and what the operator who deployed it has."""

    folder: Path

    @property
    def snapshot(self) -> Snapshot:
        """The server's disk."""
        return Snapshot.load(self.folder)

    def hand_over(self, operator: Operator, server: LabServer) -> None:
        """Let an operator be the one who deployed a copy.

        They get the state folder, known_hosts, the answers file if there is one, the passwords, and
        the secrets to watch for.

        Args:
            operator: The operator, whose home folder is empty.
            server: The copy.
        """
        address = self.snapshot.address
        home = self.folder / "home"
        for file in filter(Path.is_file, home.rglob("*")):
            target = operator.home / file.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            text = file.read_text("utf-8").replace(str(home), str(operator.home))
            target.write_text(replace_address(text, address, server.address))
            shutil.copystat(file, target)
        (operator.home / ".ssh" / "known_hosts").write_text(f"{server.known_hosts_line()}\n")
        kept = json.loads((self.folder / "operator.json").read_text())
        operator.passwords |= kept["passwords"]
        for secret, allowed, label in kept["secrets"]:
            places = [place.replace(str(home), str(operator.home)) for place in allowed]
            operator.leaks.add(secret, places, label=label)


class Deployments:
    """Deploys each kind of server once, for all processes of a test session.

    Attributes:
        folder: The session's snapshots.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        is_worker = "PYTEST_XDIST_WORKER" in os.environ
        session = ProcessIdentity.of(os.getppid()) if is_worker else ProcessIdentity.own()
        assert session is not None
        self.folder = lab.folder.snapshots / f"{session.pid}-{session.started}"

    def deployment(self, *extra: str, by_command: bool = False, **parts: Any) -> Deployed:
        """Return a deployed server to copy, of the usual answers and the given parts.

        Args:
            extra: Additional packages.
            by_command: Apply the answers file of :class:`CommandLine` in the operator's home.
            parts: Parts of the answers, as for :meth:`Operator.answers`.
        """
        what = json.dumps([sorted(extra), by_command, parts], sort_keys=True)
        name = hashlib.sha256(what.encode()).hexdigest()[:10]
        deployed = Deployed(self.folder / name)
        with self._lab.folder.lock(f"snapshot-{name}"):
            if not (deployed.folder / "operator.json").exists():
                shutil.rmtree(deployed.folder, ignore_errors=True)
                self._deploy(deployed.folder, extra, by_command, parts)
        return deployed

    def _deploy(
        self, folder: Path, extra: Sequence[str], by_command: bool, parts: dict[str, Any]
    ) -> None:
        home = folder / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        server = self._lab.boot("server", variant="ready", extra=extra)
        secrets = _Secrets()
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("HOME", str(home))
                patch.setenv("MOORAGE_STATE", str(home / "state"))
                patch.setenv("SUDO_PASSWORD", ADMIN_PASSWORD)
                patch.delenv("SSH_AUTH_SOCK", raising=False)
                patch.setattr("moorage.users.passwords.BCRYPT_COST", 4)
                operator = Operator(home, secrets, patch)
                if by_command:
                    _apply(CommandLine(operator), server, parts)
                else:
                    operator.install(operator.answers([server], **parts))
            server.take_snapshot(folder)
        finally:
            self._lab.destroy(server)
        kept = {"passwords": operator.passwords, "secrets": secrets.added}
        (folder / "operator.json").write_text(json.dumps(kept))


def _apply(call: CommandLine, server: LabServer, parts: dict[str, Any]) -> None:
    call.write_answers(server, **parts)
    call.add_known_hosts(server)
    applied = call("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to", "passwords")
    assert applied.code == 0, applied.stdout + applied.stderr
    call.operator.passwords["ci"] = PASSWORD
