"""Time of one change to 200 users on three servers, compared with one `ssh` to the slowest.

Run as root: python -m bench.users_change [ROUNDS]. It boots three lab servers and an S3 server. "A
change in the screen" is the time on open connections, after the users have been read.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.unchanged import Bench, median
from lab import Lab, LabServer
from lab.services import start_object_store
from moorage.answers.load import load
from moorage.answers.secrets import Secret
from moorage.deploy.deployment import Deployment
from moorage.deploy.users.change import change_users, plan_change, read_users
from moorage.desired.users import RegistryUser
from moorage.errors import SecretName
from moorage.servers.transport import HostKey
from moorage.users import edits

USERS = 200
# Hashes of an unknown password.
HASH = "$2y$12$" + "abcdefghijklmnopqrstuu" + "Syn8a9zXl4qM8lXU0n0w1m1r4l0cT9u"


class Trusting:
    """An operator who trusts every host key and enters no secrets."""

    def accept_host_key(self, key: HostKey) -> bool:
        """Accept the key."""
        return True

    def secret(
        self, what: SecretName, server: str | None, rejected: Secret | None = None
    ) -> Secret | None:
        """Return no secret."""
        return None


def write_answers(
    bench: Bench, servers: list[LabServer], addresses: list[tuple[str, int]], endpoint: str
) -> Path:
    """Write answers for servers at ``addresses`` and 200 users."""
    # Aliases distinguish servers at the same address.
    names = [f"{host}-{port}" for host, port in addresses]
    with (bench.folder / "ssh_config").open("a") as config:
        for name, (host, port) in zip(names, addresses, strict=True):
            config.write(f"Host {name}\n  HostName {host}\n  Port {port}\n")
    document = {
        "version": 1,
        "registry": {"domain": "registry.bench.test"},
        "servers": [
            {"host": name, "user": "root", "key": str(server.key)}
            for server, name in zip(servers, names, strict=True)
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
    path = bench.folder / f"{names[0]}.yml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def in_the_screen(path: Path, rounds: int) -> float:
    """Return the median duration of a change on open connections in seconds."""
    times: list[float] = []
    with Deployment(load(path), Trusting()) as deployment:
        for _ in range(rounds):
            one_change(deployment, times)
    return statistics.median(times)


def one_change(deployment: Deployment, times: list[float]) -> None:
    """Add a user or remove them again, and record the duration."""
    read = read_users(deployment)
    name = "coming-and-going"
    users = (
        edits.remove(read.users, [name])
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
        os.environ.update(bench.environment)
        near = [(server.address, 22) for server in servers]
        far = [server.start_proxy(100) for server in servers]
        known = "".join(
            server.known_hosts_line(*address) + "\n"
            for server, *pair in zip(servers, near, far, strict=True)
            for address in pair
        )
        (bench.folder / "known_hosts").write_text(known)
        path = write_answers(bench, servers, near, store.endpoint)
        far_path = write_answers(bench, servers, far, store.endpoint)

        def moorage(*words: str) -> None:
            command = [sys.executable, "-m", "moorage", *words]
            subprocess.run(command, env=bench.environment, capture_output=True, check=True)

        moorage("apply", str(path), "--yes", "--no-verify")
        print(f"{f'one change, {USERS} users, 3 servers':<40}{'seconds':>9}{'ratio':>8}")
        for title, addresses, file in (
            ("on the same bridge", near, path),
            ("with 100 ms latency", far, far_path),
        ):
            slowest = max(
                median(rounds, partial(_ssh, server, at))
                for server, at in zip(servers, addresses, strict=True)
            )
            screen = in_the_screen(file, rounds)
            options = (str(file), "user7", "--yes", "--no-save")
            turns = itertools.cycle(
                partial(moorage, "users", verb, *options) for verb in ("disable", "enable")
            )
            whole = median(rounds, partial(_act_next, turns))
            print(title)
            for what, seconds in (
                ("  one ssh to the slowest server", slowest),
                ("  a change in the screen", screen),
                ("  moorage users, the whole process", whole),
            ):
                print(f"{what:<40}{seconds:>9.3f}{seconds / slowest:>8.2f}")
        store.stop()


def _act_next(turns: Iterator[Callable[[], None]]) -> None:
    next(turns)()


def _ssh(server: LabServer, at: tuple[str, int]) -> None:
    subprocess.run([*server.ssh_command(at=at), "true"], check=True, capture_output=True)


if __name__ == "__main__":
    main()
