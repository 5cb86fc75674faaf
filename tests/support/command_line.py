"""The command line in its own processes, as operators and CI jobs call it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forked_program
from operator_at_work import DOMAIN, Operator
from outcome_of_call import Outcome

from lab import LabServer

PASSWORD = "tide-table-42-lantern"
PROGRAM = """
import moorage.users.passwords
moorage.users.passwords.BCRYPT_COST = 4
from moorage.cli.main import main
main()
"""
"""The command line with bcrypt's lowest cost."""


@dataclass
class CommandLine:
    """Calls the command line in separate processes without a terminal."""

    operator: Operator
    environment: dict[str, str] = field(default_factory=dict)
    going_on: list[subprocess.Popen[str]] = field(default_factory=list)
    program: str = PROGRAM

    @property
    def home(self) -> Path:
        """The operator's home folder, with the answers file."""
        return self.operator.home

    def write_answers(self, *servers: LabServer, **parts: Any) -> None:
        """Write moorage.yml with two users, one with a given and one with a generated password."""
        users = [
            {"name": "ci", "access": "push", "password": {"env": "CI_PW"}},
            {"name": "bot", "access": "pull", "password": {"generate": True}},
        ]
        document = {
            "version": 1,
            "registry": {"domain": DOMAIN},
            "servers": [
                {"host": server.address, "user": "root", "key": str(server.key)}
                for server in servers
            ],
            "credentials": {"users": users},
            **parts,
        }
        # JSON is YAML.
        (self.home / "moorage.yml").write_text(json.dumps(document, indent=2))

    def add_known_hosts(self, *servers: LabServer) -> None:
        """Add servers' host keys to known_hosts."""
        path = self.home / ".ssh" / "known_hosts"
        path.write_text("".join(f"{server.known_hosts_line()}\n" for server in servers))

    def start(self, *words: str, stdin: str | None = None) -> subprocess.Popen[str]:
        """Start a call."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "MOORAGE_STATE": str(self.home / "state"),
            "CI_PW": PASSWORD,
            **self.environment,
        }
        process = forked_program.start(
            self.program, *words, folder=self.home, environment=environment,
            has_input=stdin is not None,
        )  # fmt: skip
        self.going_on.append(process)
        return process

    def __call__(self, *words: str, stdin: str | None = None) -> Outcome:
        """Run a call to its end."""
        return self.finish(self.start(*words, stdin=stdin), stdin=stdin)

    def finish(
        self, process: subprocess.Popen[str], so_far: str = "", stdin: str | None = None
    ) -> Outcome:
        """Wait until a call ends."""
        stdout, stderr = process.communicate(stdin, timeout=300)
        stdout = so_far + stdout
        self.operator.leaks.watch_output("stdout", stdout)
        self.operator.leaks.watch_output("stderr", stderr)
        assert "Traceback" not in stdout + stderr
        return Outcome(process.returncode, stdout, stderr)

    def until(self, process: subprocess.Popen[str], text: str) -> str:
        """Read stdout up to the line with a text and return it."""
        assert process.stdout is not None
        read = ""
        for line in process.stdout:
            read += line
            if text in line:
                return read
        raise AssertionError(f"the process ended before {text!r}: {read}")
