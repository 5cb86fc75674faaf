"""Time to connect and run one script: Moorage, ssh, and plain paramiko.

Run as root: python bench/connect.py [ROUNDS]. It boots its own lab server.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import paramiko

from lab import Lab, LabServer
from lab.keys import ADMIN_PASSWORD
from moorage.answers.model import Server
from moorage.answers.secrets import Secret, SecretReference, Typed
from moorage.errors import SecretName
from moorage.servers.ssh.config import SshConfig
from moorage.servers.ssh.transport import SshTransport
from moorage.servers.transport import HostKey

SCRIPT = "id -u; cat"
PAYLOAD = b"x" * 20_000
LARGE = 300


class NoOperator:
    """An asker that no benchmark should need."""

    def accept_host_key(self, key: HostKey) -> bool:
        """Reject unknown keys."""
        return False

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        """Return no secret."""
        return None


def resolve(
    reference: SecretReference | None, what: str, rejected: Secret | None = None
) -> Secret | None:
    """Return a typed secret."""
    return reference.secret if isinstance(reference, Typed) else None


class Bench:
    """The benchmarks against one server.

    Args:
        server: A lab server.
        folder: A folder for the SSH configuration.
        rounds: The number of repetitions.
    """

    def __init__(self, server: LabServer, folder: Path, rounds: int) -> None:
        self.server = server
        self.folder = folder
        self.rounds = rounds

    def transport(self, user: str, at: tuple[str, int]) -> SshTransport:
        """Return a transport that knows the server's key."""
        known_hosts = self.folder / "known_hosts"
        known_hosts.write_text(self.server.known_hosts_line(*at) + "\n", encoding="utf-8")
        config = self.folder / "config"
        config.write_text(f"Host *\nUserKnownHostsFile {known_hosts}\nIdentityAgent none\n")
        answers = Server(
            host=at[0],
            port=at[1],
            user=user,
            key=str(self.server.key),
            sudo_password=Typed(Secret(ADMIN_PASSWORD)) if user == "admin" else None,
        )
        return SshTransport(answers, NoOperator(), resolve, config=SshConfig.load(config))

    def moorage(self, user: str, at: tuple[str, int]) -> None:
        """Connect and run the script."""
        transport = self.transport(user, at)
        try:
            completed = transport.run(SCRIPT, payload=PAYLOAD)
            assert completed.stdout == b"0\n" + PAYLOAD, completed
        finally:
            transport.close()

    def openssh(self, at: tuple[str, int]) -> None:
        """Do the same with ssh."""
        command = [*self.server.ssh_command("root", at=at), SCRIPT]
        subprocess.run(command, input=PAYLOAD, stdout=subprocess.DEVNULL, check=True)

    def paramiko(self, at: tuple[str, int]) -> None:
        """Do the same with paramiko's own client."""
        client = paramiko.SSHClient()
        client.load_host_keys(str(self.folder / "known_hosts"))
        key = str(self.server.key)
        client.connect(*at, username="root", key_filename=key, allow_agent=False)
        stdin, stdout, _ = client.exec_command(SCRIPT)
        stdin.write(PAYLOAD)
        stdin.channel.shutdown_write()
        assert stdout.read() == b"0\n" + PAYLOAD
        client.close()

    def report(self, name: str, act: Callable[[], object]) -> None:
        """Run a function repeatedly and print its times."""
        times = []
        for _ in range(self.rounds):
            started = time.perf_counter()
            act()
            times.append(time.perf_counter() - started)
        print(f"{name:<44} {statistics.median(times):7.3f} s   best {min(times):.3f} s")

    def report_large(self) -> None:
        """Send a large payload once."""

        def chunks() -> Iterator[bytes]:
            chunk = bytes(1 << 20)
            for _ in range(LARGE):
                yield chunk

        transport = self.transport("root", (self.server.address, 22))
        transport.connect()
        started = time.perf_counter()
        transport.run("cat >/dev/null", payload=chunks())
        rate = LARGE / (time.perf_counter() - started)
        transport.close()
        print(f"{f'payload of {LARGE} MiB':<44} {rate:7.0f} MiB/s")

    def report_again(self, at: tuple[str, int]) -> None:
        """Run more scripts over an open connection."""
        transport = self.transport("root", at)
        transport.connect()
        self.report("  another script, connected", lambda: transport.run("true"))
        transport.close()


def main() -> None:
    """Measure with and without added latency, and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        server = lab.boot("bench")
        bench = Bench(server, Path(folder), rounds)
        for title, at in (
            ("on the same bridge", (server.address, 22)),
            ("with 100 ms latency", server.start_proxy(100)),
        ):
            print(f"{title}:")
            bench.report("  Moorage, root", partial(bench.moorage, "root", at))
            bench.report(
                "  Moorage, admin, sudo with a password", partial(bench.moorage, "admin", at)
            )
            bench.report("  Moorage, deploy, sudo without a password",
                         partial(bench.moorage, "deploy", at))  # fmt: skip
            bench.report("  ssh, root", partial(bench.openssh, at))
            bench.report("  paramiko's client, root", partial(bench.paramiko, at))
            bench.report_again(at)
        bench.report_large()


if __name__ == "__main__":
    main()
