"""The demo: a throwaway server, a registry on it, and a real Docker engine that logs in.

In a terminal it opens the wizard, filled in; without one it applies the same answers headless.
The demo writes only to `.lab/demo` in the checkout. ``python -m lab.demo open`` reopens it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from getpass import getpass
from pathlib import Path

from lab import Lab, LabError, LabServer
from lab.machine import say

SERVER, CLIENT = "moorage-demo", "moorage-demo-client"
DOMAIN, USER = "registry.demo.test", "demo"
FOLDER = Path(__file__).parent.parent / ".lab" / "demo"


def main() -> int:
    """Run the demo and return the exit status."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        lab = Lab(stay=True)
        server = _fresh(lab, SERVER, "bare")
        client = _fresh(lab, CLIENT, "client")
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    # The state describes an earlier demo's server, which no longer exists.
    shutil.rmtree(FOLDER / "state", ignore_errors=True)
    answers = _write_answers(server)
    passwords = FOLDER / "passwords.txt"
    passwords.unlink(missing_ok=True)
    with_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    code = _moorage([str(answers)] if with_terminal else _headless(answers, passwords))
    if code != 0 or not (server.root / "etc/moorage/deployment.json").exists():
        print("demo: the registry was not installed", file=sys.stderr)
        return code or 1
    _introduce(client, server)
    password = ""
    if passwords.exists():
        password = passwords.read_text(encoding="utf-8").strip().partition(":")[2]
    elif with_terminal:
        print(f"The registry is running. {CLIENT} logs in next, with the password from Done.")
        password = getpass(f"Password of {USER} (press Enter to skip): ")
    known = f"        # password: {password}" if passwords.exists() else ""
    print(f"\nThe registry {DOMAIN} is running on {server.address}. Log in:\n")
    print(f"  docker login {DOMAIN} -u {USER}" + known)
    if password:
        print(f"\n{CLIENT}: {_log_in(client, password)}")
    print(
        f"\nShell on the Docker client:   .venv/bin/python -m lab sh {CLIENT}\n"
        f"Shell on the server:          .venv/bin/python -m lab sh {SERVER}\n"
        "Reopen the wizard:            make demo-open\n"
        "Remove both:                  make demo-down"
    )
    return 0


def reopen() -> int:
    """Open the wizard on the existing demo registry."""
    answers = FOLDER / "moorage.yml"
    if not answers.exists():
        print("demo: no demo exists yet; run `make demo`", file=sys.stderr)
        return 1
    return _moorage([str(answers)])


def _fresh(lab: Lab, name: str, variant: str) -> LabServer:
    """Boot a server, or reset the one from an earlier demo."""
    try:
        server = lab.find(name)
    except LabError:
        say(f"booting {name}")
        return lab.boot(name, variant=variant)
    say(f"resetting {name}")
    server.reset()
    server.wait_until_up()
    return server


def _write_answers(server: LabServer) -> Path:
    """Write the answers, and an SSH configuration that knows only this server."""
    known_hosts = FOLDER / "known_hosts"
    known_hosts.write_text(server.known_hosts_line() + "\n", encoding="utf-8")
    (FOLDER / "ssh_config").write_text(
        f"Host *\n  UserKnownHostsFile {known_hosts}\n", encoding="utf-8"
    )
    answers = FOLDER / "moorage.yml"
    answers.write_text(
        "version: 1\n"
        f"registry: {{domain: {DOMAIN}}}\n"
        f"servers:\n  - {{host: {server.address}, user: root, key: {server.key}}}\n"
        f"credentials:\n  users:\n    - {{name: {USER}, password: {{generate: true}}}}\n",
        encoding="utf-8",
    )
    answers.chmod(0o600)
    return answers


def _headless(answers: Path, passwords: Path) -> list[str]:
    return ["apply", str(answers), "--yes", "--passwords-to", str(passwords)]


def _moorage(words: list[str]) -> int:
    environment = {
        **os.environ,
        "MOORAGE_STATE": str(FOLDER / "state"),
        "MOORAGE_SSH_CONFIG": str(FOLDER / "ssh_config"),
    }
    command = [sys.executable, "-m", "moorage", *words]
    return subprocess.run(command, env=environment, check=False).returncode


def _introduce(client: LabServer, server: LabServer) -> None:
    """Make the client resolve the registry's name and trust its certificate authority."""
    authority = next((FOLDER / "state" / "ca").glob("*/ca.pem")).read_text(encoding="utf-8")
    client.write_file(f"/etc/docker/certs.d/{DOMAIN}/ca.crt", authority)
    client.run(
        ["sh", "-c", 'printf "%s %s\\n" "$1" "$2" >> /etc/hosts', "sh", server.address, DOMAIN]
    )


def _log_in(client: LabServer, password: str) -> str:
    """Log in with a real Docker engine and return its message."""
    command = ["docker", "login", DOMAIN, "-u", USER, "--password-stdin"]
    done = client.run(command, stdin=password, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return next((line for line in lines if "Succeeded" in line), "\n".join(lines))


if __name__ == "__main__":
    sys.exit(reopen() if sys.argv[1:] == ["open"] else main())
