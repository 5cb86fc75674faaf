"""The command line against real servers, as people and CI jobs call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator

import moorage
from lab import LabServer

PASSWORD = "tide-table-42-lantern"
SOURCE = str(Path(moorage.__file__).parents[1])


@dataclass
class Outcome:
    """What one call did."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Stdout as one JSON value."""
        return json.loads(self.stdout)

    @property
    def result(self) -> Any:
        """The last line of JSON Lines."""
        return json.loads(self.stdout.splitlines()[-1])


@dataclass
class CommandLine:
    """Calls the command line in processes of their own, without a terminal."""

    operator: Operator
    going_on: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The operator's home, where the answers file is."""
        return self.operator.home

    def write_answers(self, server: LabServer, **parts: Any) -> None:
        """Write moorage.yml: one user whose password is known, one whose is made."""
        users = [
            {"name": "ci", "access": "push", "password": {"env": "CI_PW"}},
            {"name": "bot", "access": "pull", "password": {"generate": True}},
        ]
        document = {
            "version": 1,
            "registry": {"domain": DOMAIN},
            "servers": [{"host": server.address, "user": "root", "key": str(server.key)}],
            "credentials": {"users": users},
            **parts,
        }
        # JSON is YAML.
        (self.home / "moorage.yml").write_text(json.dumps(document, indent=2))

    def know(self, server: LabServer) -> None:
        """Put a server's host keys into known_hosts."""
        path = self.home / ".ssh" / "known_hosts"
        path.write_text(server.known_hosts_line() + "\n")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a call."""
        program = "from moorage.cli.main import main; main()"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "MOORAGE_STATE": str(self.home / "state"),
            "PYTHONPATH": SOURCE,
            "CI_PW": PASSWORD,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words], cwd=self.home, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.going_on.append(process)
        return process

    def __call__(self, *words: str) -> Outcome:
        """Call and wait."""
        return self.finish(self.start(*words))

    def finish(self, process: subprocess.Popen[str], so_far: str = "") -> Outcome:
        """Wait for the end of a call."""
        stdout, stderr = process.communicate(timeout=300)
        stdout = so_far + stdout
        self.operator.leaks.watch_output("stdout", stdout)
        self.operator.leaks.watch_output("stderr", stderr)
        assert "Traceback" not in stdout + stderr
        return Outcome(process.returncode, stdout, stderr)

    def until(self, process: subprocess.Popen[str], text: str) -> str:
        """Read stdout up to the line that holds a text, and return what was read."""
        assert process.stdout is not None
        read = ""
        for line in process.stdout:
            read += line
            if text in line:
                return read
        raise AssertionError(f"it ended before {text!r}: {read}")


@pytest.fixture
def call(operator: Operator) -> Iterator[CommandLine]:
    """The command line of an operator; the password is watched for."""
    operator.leaks.add(PASSWORD, label="the password of ci")
    line = CommandLine(operator)
    yield line
    for process in line.going_on:
        process.kill()
        process.wait()


def test_from_the_answers_to_a_registry_and_again(call: CommandLine, server: LabServer) -> None:
    call.write_answers(server)
    call.know(server)

    assert call("validate", "moorage.yml", "--headless").code == 0

    planned = call("plan", "moorage.yml", "--diff", "--detailed-exitcode")
    assert planned.code == 3, planned.stderr
    assert "+++ b/etc/nginx/conf.d/moorage.conf" in planned.stdout
    assert server.run("ls /etc/moorage", check=False).returncode != 0

    unseen = call("apply", "moorage.yml", "--yes")
    assert unseen.code == 2
    assert server.run("ls /var/lib/moorage", check=False).returncode != 0

    applied = call("apply", "moorage.yml", "--yes", "--passwords-to", "passwords")
    assert applied.code == 0, applied.stdout + applied.stderr
    assert f"docker login {DOMAIN} -u ci" in applied.stdout
    assert f"{DOMAIN} A {server.address}" in applied.stdout
    assert "upload of over 100 MB" in applied.stdout
    user, _, password = (call.home / "passwords").read_text().strip().partition(":")
    assert user == "bot"
    assert call.operator.status(server, user=user, password=password) == 200
    assert call.operator.status(server, user="ci", password=PASSWORD) == 200

    status = call("status", "moorage.yml", "--json")
    assert status.code == 0, status.stdout
    assert status.json["has_changes"] is False
    described = status.json["servers"][0]
    assert described["registry_running"] is described["nginx_running"] is True
    assert described["drifted"] == []
    assert described["certificate"]["names"] == [DOMAIN]
    assert described["run"]["status"] == "done"

    verified = call("verify", "moorage.yml", "--json", "--skip-large-upload")
    assert verified.code == 0, verified.stdout
    assert {check["status"] for check in verified.json["checks"]} == {"good"}

    again = call("apply", "moorage.yml", "--yes", "--json", "--no-verify")
    assert again.code == 0
    assert again.result["summary"] == "1 server: nothing to change"
    assert again.result["servers"][0]["status"] == "unchanged"
    assert call("plan", "moorage.yml", "--detailed-exitcode").code == 0

    # Another machine, which does not keep the private CA, gets it from the server.
    (call.home / "state" / "ca").rename(call.home / "ca-elsewhere")
    assert call("verify", "moorage.yml", "--skip-large-upload").code == 0

    server.run("echo '# by hand' >> /etc/nginx/conf.d/moorage.conf")
    drifted = call("status", "--server", f"root@{server.address}", "--key", str(server.key))
    assert drifted.code == 1
    assert "/etc/nginx/conf.d/moorage.conf is not as Moorage last wrote it." in drifted.stdout
    replanned = call("plan", "moorage.yml", "--diff")
    assert "(drift: not as Moorage last wrote it)" in replanned.stdout
    assert "\n-# by hand\n" in replanned.stdout
    assert call("apply", "moorage.yml", "--yes", "--no-verify").code == 0
    assert call("status", "moorage.yml").code == 0


def test_an_unknown_server_is_trusted_by_its_fingerprint_only(
    call: CommandLine, server: LabServer
) -> None:
    call.write_answers(server)

    refused = call("plan", "moorage.yml")
    assert refused.code == 4
    assert "SHA256:" in refused.stderr
    wrong = call("plan", "moorage.yml", "--accept-host-key", "SHA256:" + "A" * 43)
    assert wrong.code == 4

    right = call("plan", "moorage.yml", "--accept-host-key", server.host_key_fingerprint())
    assert right.code == 0, right.stderr
    assert call("plan", "moorage.yml").code == 0


def test_ctrl_c_leaves_the_server_as_it_was(call: CommandLine, server: LabServer) -> None:
    call.write_answers(server)
    call.know(server)
    process = call.start("apply", "moorage.yml", "--yes", "--json", "--passwords-to", "passwords")
    read = call.until(process, '"step": "packages"')

    process.send_signal(signal.SIGINT)
    outcome = call.finish(process, read)

    assert outcome.code == 130
    assert "Cancelling: " in outcome.stderr
    assert outcome.result["exit_code"] == 130
    assert outcome.result["servers"][0]["status"] == "cancelled"
    assert not (call.home / "passwords").exists()
    for path in ("/etc/moorage/deployment.json", "/etc/nginx/conf.d/moorage.conf"):
        assert server.run(["test", "-e", path], check=False).returncode != 0
    status = call("status", "moorage.yml", "--json")
    assert status.code == 1
    assert status.json["servers"][0]["run"]["status"] == "cancelled"


def test_a_run_outlives_moorage_and_is_found_again(call: CommandLine, server: LabServer) -> None:
    call.write_answers(server)
    call.know(server)
    process = call.start("apply", "moorage.yml", "--yes", "--json", "--passwords-to", "passwords")
    call.until(process, '"step": "packages"')
    process.kill()
    process.communicate()

    meanwhile = call("apply", "moorage.yml", "--yes", "--passwords-to", "more-passwords")
    followed = call("status", "moorage.yml", "--follow")

    assert meanwhile.code == 1
    assert "is going on" in meanwhile.stderr
    assert followed.code == 0, followed.stdout + followed.stderr
    assert "Recording what is deployed" in followed.stderr
    # The password that was made reached the file before the run began.
    user, _, password = (call.home / "passwords").read_text().strip().partition(":")
    assert call.operator.status(server, user=user, password=password) == 200


def test_being_told_to_stop_is_like_ctrl_c(call: CommandLine, server: LabServer) -> None:
    call.write_answers(server)
    call.know(server)
    process = call.start("apply", "moorage.yml", "--yes", "--json", "--passwords-to", "passwords")
    read = call.until(process, '"step": "packages"')

    process.send_signal(signal.SIGTERM)

    assert call.finish(process, read).code == 130


def test_a_server_that_is_off(call: CommandLine, server: LabServer) -> None:
    call.write_answers(server)
    call.know(server)
    server.crash()

    for command in ("plan", "status"):
        outcome = call(command, "moorage.yml")
        assert outcome.code == 4
        assert server.address in outcome.stdout + outcome.stderr
