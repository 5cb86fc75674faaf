"""An operator who manages the registry's DNS records with the command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forked_program
from command_line import PROGRAM
from operator_at_work import DOMAIN, Operator
from outcome_of_call import Outcome

from lab import LabServer
from lab.names import NameService

ZONE = "example.test"


@dataclass
class NameKeeper:
    """Calls the command line in separate processes without a terminal.

    Attributes:
        operator: The operator whose home and state it uses.
        environment: Additional environment variables.
    """

    operator: Operator
    environment: dict[str, str] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The answers file."""
        return self.operator.home / "moorage.yml"

    def write(self, dns: dict[str, Any], hosts: Sequence[str | LabServer], **parts: Any) -> None:
        """Write answers for servers that need not exist."""
        servers = [
            {"host": each, "user": "root"}
            if isinstance(each, str)
            else {"host": each.address, "user": "root", "key": str(each.key)}
            for each in hosts
        ]
        self.environment.setdefault("CI_PW", "tide-table-42-lantern")
        self.document = {
            "version": 1,
            "registry": {"domain": DOMAIN},
            "servers": servers,
            "credentials": {"users": [{"name": "ci", "password": {"env": "CI_PW"}}]},
            "dns": dns,
            **parts,
        }
        if len(hosts) > 1:
            self.document.setdefault("storage", NOWHERE)
        # JSON is YAML.
        self.file.write_text(json.dumps(self.document, indent=2))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a call."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.operator.home),
            "MOORAGE_STATE": str(self.operator.home / "state"),
            "PYTHONUNBUFFERED": "1",
            **self.environment,
        }
        return forked_program.start(
            PROGRAM, *words, folder=self.operator.home, environment=environment
        )

    def __call__(self, *words: str) -> Outcome:
        """Run a call to its end."""
        return self.finish(self.start(*words))

    def finish(self, process: subprocess.Popen[str]) -> Outcome:
        """Wait until a call ends."""
        stdout, stderr = process.communicate(timeout=300)
        self.operator.leaks.watch_output("stdout", stdout)
        self.operator.leaks.watch_output("stderr", stderr)
        assert "Traceback" not in stdout + stderr
        return Outcome(process.returncode, stdout, stderr)

    def add_known_hosts(self, *servers: LabServer) -> None:
        """Add servers' host keys to known_hosts."""
        path = self.operator.home / ".ssh" / "known_hosts"
        path.write_text("".join(f"{server.known_hosts_line()}\n" for server in servers))


NOWHERE = {"driver": "s3", "s3": {"bucket": "images", "region": "us-east-1"}}
"""Storage that several servers can share, for tests that do not use it."""


def signed(service: NameService, **more: Any) -> dict[str, Any]:
    """Return the answers' DNS part for a name server and its key, which is in $DNS_KEY."""
    key = service.key
    return {
        "provider": "rfc2136",
        "rfc2136": {
            "server": service.address,
            "key_name": key.name,
            "key": {"env": "DNS_KEY"},
            "algorithm": key.algorithm,
        },
        **more,
    }


def keeper(operator: Operator, service: NameService) -> NameKeeper:
    """Return an operator with a name server's key in the environment; leaks of it are watched."""
    for key in service.keys:
        operator.leaks.add(
            key.secret,
            ("/etc/bind/named.conf.local", "/etc/moorage-failover/*/secrets.json"),
            label=f"the TSIG key {key.name}",
        )
    return NameKeeper(operator, {"DNS_KEY": service.key.secret})


def fresh(service: NameService, records: str = "", **more: Any) -> Iterator[NameService]:
    """Reset the zone for a test."""
    service.zones.clear()
    service.serve(ZONE, records, **more)
    yield service
