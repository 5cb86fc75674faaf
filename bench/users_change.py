"""How long one change of 200 users on three servers takes, beside one `ssh` to the slowest of them.

Run as root: python -m bench.users_change [ROUNDS]. It boots three lab servers and an S3 server.
"In the screen" is what the users screen waits for: the connections are open, the users were read.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.unchanged import Bench, measure
from lab import Lab, LabServer
from lab.services import start_object_store
from moorage.answers.load import load
from moorage.answers.secrets import Secret
from moorage.deploy.deployment import Deployment
from moorage.deploy.users_change import change_users, plan_change, read_users
from moorage.desired.users import RegistryUser
from moorage.servers.transport import HostKey
from moorage.users import edits

USERS = 200
# Nobody knows these hashes' password.
HASH = "$2y$12$" + "abcdefghijklmnopqrstuu" + "Syn8a9zXl4qM8lXU0n0w1m1r4l0cT9u"


class Trusting:
    """An operator who trusts every key and knows no secret."""

    def accept_host_key(self, key: HostKey) -> bool:
        """Trust it."""
        return True

    def secret(self, what: str, server: str | None) -> Secret | None:
        """Know nothing."""
        return None


def write_answers(bench: Bench, servers: list[LabServer], endpoint: str) -> Path:
    """Write answers for three servers and 200 users."""
    document = {
        "version": 1,
        "registry": {"domain": "registry.bench.test"},
        "servers": [
            {"host": server.address, "user": "root", "key": str(server.key)} for server in servers
        ],
        "credentials": {
            "users": [
                {"name": f"user{number}", "password": {"hash": HASH}} for number in range(USERS)
            ]
        },
        "storage": {
            "driver": "s3",
            "s3": {
                "bucket": "registry",
                "region": "us-east-1",
                "regionendpoint": endpoint,
                "accesskey": {"env": "S3_ACCESS_KEY"},
                "secretkey": {"env": "S3_SECRET_KEY"},
                "secure": False,
            },
        },
    }
    path = bench.folder / "three.yml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def one_change(deployment: Deployment, times: list[float]) -> None:
    """Add a user, or take them away again; note the time between the two clicks."""
    read = read_users(deployment)
    name = "coming-and-going"
    users = (
        edits.remove(read.users, name)
        if name in read.places
        else edits.add(read.users, RegistryUser(name, HASH))
    )
    began = time.perf_counter()
    report = change_users(deployment, plan_change(read, users))
    times.append(time.perf_counter() - began)
    assert report.is_good, report


def main() -> None:
    """Measure and print a table with ratios."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        servers = lab.boot_many(["bench1", "bench2", "bench3"])
        store = start_object_store(lab)
        bench = Bench(servers[0], Path(folder))
        bench.environment |= {"S3_ACCESS_KEY": store.access_key, "S3_SECRET_KEY": store.secret_key}
        known = "".join(server.known_hosts_line() + "\n" for server in servers)
        (bench.folder / "known_hosts").write_text(known)
        path = write_answers(bench, servers, store.endpoint)

        def moorage(*words: str) -> None:
            command = [sys.executable, "-m", "moorage", *words]
            subprocess.run(command, env=bench.environment, capture_output=True, check=True)

        moorage("apply", str(path), "--yes", "--no-verify")
        slowest = max(
            measure(rounds, lambda server=server: _ssh(server))  # type: ignore[misc]
            for server in servers
        )
        in_screen: list[float] = []
        with Deployment(load(path), Trusting()) as deployment:
            for _ in range(rounds):
                one_change(deployment, in_screen)
        add = ("users", "disable", str(path), "user7", "--yes", "--no-save")
        undo = ("users", "enable", str(path), "user7", "--yes", "--no-save")
        turns = iter([add, undo] * rounds)
        whole = measure(rounds, lambda: moorage(*next(turns)))
        store.stop()
    screen = sorted(in_screen)[len(in_screen) // 2]
    print(f"{f'one change, {USERS} users, 3 servers':<40}{'seconds':>9}{'ratio':>8}")
    for what, seconds in (
        ("one ssh to the slowest server", slowest),
        ("a change in the screen", screen),
        ("moorage users, the whole process", whole),
    ):
        print(f"{what:<40}{seconds:>9.3f}{seconds / slowest:>8.2f}")


def _ssh(server: LabServer) -> None:
    subprocess.run([*server.ssh_command(), "true"], check=True, capture_output=True)


if __name__ == "__main__":
    main()
