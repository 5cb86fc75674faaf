"""The demo: a throw-away server, a registry on it, and a real Docker engine that logs in.

With a terminal the wizard opens, filled in; without one the same answers are applied headless.
Everything the demo writes is in `.lab/demo` of the checkout. ``python -m lab.demo open`` comes back
to it.
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
    """Run the demo and return what to exit with."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        lab = Lab(stay=True)
        server = _fresh(lab, SERVER, "bare")
        client = _fresh(lab, CLIENT, "client")
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    # What is remembered of an earlier demo is gone with its server.
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
        print(f"The registry runs. {CLIENT} logs in now, with the password that Done showed.")
        password = getpass(f"Password of {USER} (Enter alone leaves that out): ")
    known = f"        # the password: {password}" if passwords.exists() else ""
    print(f"\nThe registry {DOMAIN} runs on {server.address}. Log in:\n")
    print(f"  docker login {DOMAIN} -u {USER}" + known)
    if password:
        print(f"\n{CLIENT} did: {_log_in(client, password)}")
    print(
        f"\nA Docker engine that knows the registry:  .venv/bin/python -m lab sh {CLIENT}\n"
        f"The server itself:                         .venv/bin/python -m lab sh {SERVER}\n"
        "Come back to it with the wizard:           make demo-open\n"
        "Remove both:                               make demo-down"
    )
    return 0


def come_back() -> int:
    """Open the wizard on the demo's registry, as it is."""
    answers = FOLDER / "moorage.yml"
    if not answers.exists():
        print("demo: there is none yet; make demo", file=sys.stderr)
        return 1
    return _moorage([str(answers)])


def _fresh(lab: Lab, name: str, variant: str) -> LabServer:
    """Boot a server, or put the one of an earlier demo back to how it was."""
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
    """Write the answers, and an ssh configuration that knows this server and no other."""
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
    """Let the client find the registry by its name and trust its certificate authority."""
    authority = next((FOLDER / "state" / "ca").glob("*/ca.pem")).read_text(encoding="utf-8")
    client.write_file(f"/etc/docker/certs.d/{DOMAIN}/ca.crt", authority)
    client.run(
        ["sh", "-c", 'printf "%s %s\\n" "$1" "$2" >> /etc/hosts', "sh", server.address, DOMAIN]
    )


def _log_in(client: LabServer, password: str) -> str:
    """Log in with a real Docker engine and return what it says."""
    command = ["docker", "login", DOMAIN, "-u", USER, "--password-stdin"]
    done = client.run(command, stdin=password, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return next((line for line in lines if "Succeeded" in line), "\n".join(lines))


if __name__ == "__main__":
    sys.exit(come_back() if sys.argv[1:] == ["open"] else main())
