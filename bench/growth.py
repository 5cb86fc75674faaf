"""Growth of run times with users, rules, servers and logs.

Run as root: python -m bench.growth. It boots its own lab servers and an S3 server. Times must
not grow faster than the number beside them.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.unchanged import Bench
from bench.users_change import HASH, Trusting, write_answers
from lab import Lab, LabServer
from lab.services import start_object_store
from moorage.answers.load import load, loads
from moorage.answers.save import dump
from moorage.answers.secrets import Secret
from moorage.deploy.deployment import Deployment
from moorage.deploy.images.activity import read_activity
from moorage.deploy.users.change import change_users, plan_change, read_users
from moorage.desired.users import RegistryUser
from moorage.users import edits
from moorage.users.passwords import hash_password

DOMAIN, PASSWORD = "registry.bench.test", "a password for benchmarks"
USERS = (10, 100, 1_000, 10_000)
# A user can have at most 3,500 characters of rules.
RULES = (1, 10, 50, 200, 290)
LOG_LINE = (
    "2026-01-02T03:04:05+00:00\tuser%d\t200\tGET\t/v2/team/app/manifests/latest\t10.0.0.1\t1234"
    "\t0.005\tdocker/20.10.24 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0\tunix:/run/x.sock\n"
)


def row(what: str, values: Sequence[tuple[int | str, float]], unit: str, scale: float) -> None:
    """Print one row of the table: the subject, its size, and the time."""
    cells = "".join(f"{f'{size}: {seconds * scale:.3g} {unit}':>20}" for size, seconds in values)
    print(f"{what:<36}{cells}", flush=True)


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def many(count: int) -> tuple[RegistryUser, ...]:
    """Return users with random passwords."""
    return tuple(RegistryUser(f"user{each}", HASH, "pull", ("team-a/*",)) for each in range(count))


def in_memory() -> None:
    """Measure operations that need no server."""
    disabled, loaded, written = [], [], []
    head = "version: 1\nregistry: {domain: registry.bench.test}\nservers: [{host: one}]\n"
    for count in USERS:
        users, half = many(count), [f"user{number}" for number in range(count // 2)]
        disabled.append((count, timed(partial(edits.set_disabled, users, half, True))))
        lines = [f"  - {{name: user{n}, password: {{generate: true}}}}\n" for n in range(count)]
        text = head + "credentials:\n  users:\n" + "".join(lines)
        loaded.append((count, timed(partial(loads, text))))
        written.append((count, timed(partial(dump, loads(text)))))
    row("disable half: users", disabled, "ms", 1e3)
    row("load an answers file: users", loaded, "s", 1)
    row("write it: users", written, "s", 1)


def change_to(deployment: Deployment, users: Sequence[RegistryUser]) -> float:
    """Change the users and return the seconds it takes, from reading them to the end."""
    began = time.perf_counter()
    read = read_users(deployment)
    first = tuple(user for user in read.users if user.name == "user0")
    plan = plan_change(read, (*first, *(user for user in users if user.name != "user0")))
    report = change_users(deployment, plan)
    assert report.is_good, report
    return time.perf_counter() - began


def per_request(server: LabServer, user: str, path: str) -> float:
    """Return the seconds of the fastest of many requests on one connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    request = f"GET {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nAuthorization: Basic {login}\r\n\r\n"
    with (
        socket.create_connection((server.address, 443), 30) as plain,
        context.wrap_socket(plain, server_hostname=DOMAIN) as connection,
    ):

        def ask() -> None:
            connection.sendall(request.encode())
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
                answer += connection.recv(65536)

        ask()
        return min(timed(ask) for _ in range(400))


def main() -> None:
    """Measure and print a table."""
    in_memory()
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        servers = lab.boot_many([f"growth{number}" for number in range(1, 5)])
        store = start_object_store(lab)
        try:
            on_servers(servers, store.endpoint, Bench(servers[0], Path(folder)))
        finally:
            store.stop()


def on_servers(servers: Sequence[LabServer], endpoint: str, bench: Bench) -> None:
    """Measure operations on servers."""
    bench.environment |= {"S3_ACCESS_KEY": "lab-access-key", "S3_SECRET_KEY": "lab-secret-key"}
    os.environ.update(bench.environment)
    known = "".join(server.known_hosts_line(server.address, 22) + "\n" for server in servers)
    (bench.folder / "known_hosts").write_text(known)
    by_count = []
    for count in (1, 2, 4):
        chosen = list(servers[:count])
        path = write_answers(bench, chosen, [(each.address, 22) for each in chosen], endpoint)
        command = [sys.executable, "-m", "moorage", "apply", str(path), "--yes", "--no-verify"]
        subprocess.run(command, env=bench.environment, capture_output=True, check=True)
        with Deployment(load(path), Trusting()) as deployment:
            change_to(deployment, many(100))
            by_count.append((count, change_to(deployment, many(101))))
    row("change one user: servers", by_count, "s", 1)
    server, path = servers[0], bench.folder / f"{servers[0].address}-22.yml"
    only_first = load(path)
    only_first = only_first.model_copy(update={"servers": only_first.servers[:1]})
    with Deployment(only_first, Trusting()) as deployment:
        growing_users(deployment, server)
        growing_logs(deployment, server)


def growing_users(deployment: Deployment, server: LabServer) -> None:
    """Measure changes and requests with growing numbers of users and rules."""
    hashed = hash_password(Secret(PASSWORD))
    changes, requests = [], []
    for count in USERS:
        users = (*many(count), RegistryUser("ci", hashed, "push"))
        change_to(deployment, users)
        changes.append((count, change_to(deployment, (*users, replace(users[0], name="one-more")))))
        requests.append((count, per_request(server, "ci", "/v2/")))
    row("change one user: users", changes, "s", 1)
    row("one request: users", requests, "µs", 1e6)
    named = [
        RegistryUser(f"r{n}", hashed, "pull", tuple(f"team-{each:04d}/*" for each in range(n)))
        for n in RULES
    ]
    change_to(deployment, [*many(10), *named])
    rules = [(n, per_request(server, f"r{n}", "/v2/other/app/manifests/none")) for n in RULES]
    row("one request: the user's rules", rules, "µs", 1e6)


def growing_logs(deployment: Deployment, server: LabServer) -> None:
    """Measure the evaluation of logs for last-seen times, at first and with some new lines."""
    first, again = [], []
    for megabytes in (10, 100, 1000):
        lines = megabytes * 1_000_000 // len(LOG_LINE)
        log = "/var/log/nginx/moorage.log"
        script = f"BEGIN {{ for (n = 0; n < {lines}; n++) printf line, n % 1000 }}"
        line = LOG_LINE.replace("\t", "\\t").replace("\n", "\\n")
        server.run("rm -rf /var/lib/moorage/activity/*")
        server.run(["sh", "-c", f'awk -v line="$1" "$2" >{log}', "sh", line, script])
        first.append((f"{megabytes} MB", timed(lambda: read_activity(deployment))))
        server.run(f"tail -n 100 {log} >/root/new && cat /root/new >>{log}")
        again.append((f"{megabytes} MB", timed(lambda: read_activity(deployment))))
    row("last seen, first time: log", first, "s", 1)
    row("last seen, again: log", again, "s", 1)


if __name__ == "__main__":
    main()
