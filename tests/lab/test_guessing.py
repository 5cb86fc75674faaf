"""Guessing passwords is held to a limit; people who know theirs never notice it."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator
from raw_http import Reply, Wire

from lab import LabServer
from lab.machine import say

pytestmark = pytest.mark.ready

COST = 11
"""What bcrypt costs here: enough that the time of a login is that of its hash."""
TOLERATED = 20
"""Wrong passwords from one address before it is turned away; 30 more a minute."""


def _guess(wire: Wire, count: int, user: str = "ci") -> list[Reply]:
    """Try as many wrong passwords, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        return list(
            pool.map(lambda n: wire.ask("GET", "/v2/", login=(user, f"guess {n}")), range(count))
        )


def test_guessing_is_limited_and_known_logins_still_work(
    operator: Operator, server: LabServer, client: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.users.passwords.BCRYPT_COST", COST)
    names = ["ci", *(f"user{number}" for number in range(1, 12))]
    users: list[dict[str, Any]] = [
        {"name": name, "password": {"generate": True}} for name in (*names, "out")
    ]
    users[-1]["disabled"] = True
    operator.install(operator.answers([server], credentials={"users": users}))
    wire, login = Wire(server.address, DOMAIN), ("ci", operator.passwords["ci"])

    # Many users behind one address log in at once.
    with ThreadPoolExecutor(len(names)) as pool:
        logins = [(name, operator.passwords[name]) for name in names]
        first = pool.map(lambda each: wire.ask("GET", "/v2/", login=each).status, logins)
        assert set(first) == {200}

    _insist_that_no_name_is_told(operator, server)

    with ThreadPoolExecutor(18) as pool:
        started = time.monotonic()
        guessing = pool.submit(_guess, wire, 100)
        pulls = [
            pool.submit(wire.ask, "GET", f"/v2/load/tags/list?n={n}", login=login)
            for n in range(200)
        ]
        guesses = guessing.result()
        seconds = time.monotonic() - started
        pulled = Counter(pull.result().status for pull in pulls)

    statuses = Counter(reply.status for reply in guesses)
    say(f"100 guesses: {dict(statuses)}; meanwhile 200 requests of a known login: {dict(pulled)}")
    assert set(statuses) <= {401, 429}
    # Those under way when the limit was reached still count.
    assert statuses[401] <= TOLERATED + 10 + seconds / 2
    assert pulled == {404: 200}
    turned_away = next(reply for reply in guesses if reply.status == 429)
    assert int(turned_away.headers["retry-after"]) > 0
    assert json.loads(turned_away.body)["errors"][0]["code"] == "TOOMANYREQUESTS"

    # Another address is not concerned, and this one is let in again after a while.
    elsewhere = client.run(
        ["sh", "-c", 'curl -sk -o /dev/null -w "%{http_code}" -K - --resolve "$1" "$2"', "sh",
         f"{DOMAIN}:443:{server.address}", f"https://{DOMAIN}/v2/"],
        stdin='user = "{}:{}"\n'.format(*login),
    ).stdout  # fmt: skip
    assert elsewhere == "200"
    deadline = time.monotonic() + 60
    while wire.ask("GET", "/v2/", login=("ci", "another guess")).status != 401:
        assert time.monotonic() < deadline
        time.sleep(2)


def _insist_that_no_name_is_told(operator: Operator, server: LabServer) -> None:
    """An unknown name takes as long as a wrong password, and nobody gets in under one."""
    wire, password = Wire(server.address, DOMAIN), operator.passwords["ci"]
    unknown = ("x", "c", "ci2", "dora.with-a+long_name" * 3, "out", "jürgen", "#ci")

    def seconds(name: str, number: int) -> float:
        began = time.monotonic()
        assert wire.ask("GET", "/v2/", login=(name, f"first {number}")).status == 401
        return time.monotonic() - began

    pairs = [(seconds("ci", number), seconds(name, number)) for number, name in enumerate(unknown)]
    known_takes, unknown_takes = (median(times) for times in zip(*pairs, strict=True))
    say(f"a known name takes {known_takes:.3f} s, an unknown one {unknown_takes:.3f} s")
    assert 0.5 < unknown_takes / known_takes < 2

    # The right password of somebody who is there lets nobody in under another name.
    for name in unknown:
        assert wire.ask("GET", "/v2/", login=(name, password)).status in {401, 429}
    assert wire.ask("GET", "/v2/", login=("out", operator.passwords["out"])).status in {401, 429}
    assert server.run("tail -n 50 /var/log/nginx/error.log").stdout.count("hiding") == 0


@pytest.mark.deployed
def test_a_wrong_password_counts_once_and_a_request_without_one_never(
    operator: Operator, server: LabServer
) -> None:
    wire = Wire(server.address, DOMAIN)
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(
            lambda _: wire.ask("GET", "/v2/", login=("ci", "an old password")).status, range(100)
        )
        assert set(asked) == {401}
    assert wire.ask("GET", "/v2/", login=("ci", operator.passwords["ci"])).status == 200

    guesses = _guess(wire, 60)
    assert 429 in {reply.status for reply in guesses}
    reply = wire.ask("GET", "/v2/")
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="Registry"'
    assert json.loads(reply.body)["errors"][0]["code"] == "UNAUTHORIZED"


# Guesses once from each of many addresses that one client has: FROM_MANY DOMAIN TO ADDRESS...
FROM_MANY = r"""
import base64, socket, ssl, sys
domain, to, *sources = sys.argv[1:]
trusting = ssl._create_unverified_context()
for source in sources:
    login = base64.b64encode(f"ci:guess {source}".encode()).decode()
    with socket.create_connection((to, 443), 60, (source, 0)) as plain:
        with trusting.wrap_socket(plain, server_hostname=domain) as connection:
            connection.sendall(
                f"GET /v2/ HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n"
                f"Authorization: Basic {login}\r\n\r\n".encode()
            )
            print(connection.makefile("rb").readline().split()[1].decode())
"""


@pytest.mark.deployed
def test_all_addresses_of_one_client_count_as_one(operator: Operator, server: LabServer) -> None:
    def guess(to: str, *sources: str) -> list[str]:
        return server.run(["python3", "-c", FROM_MANY, DOMAIN, to, *sources]).stdout.split()

    for to, source, other in (
        ("127.0.0.1", "127.0.0.{}", ""),
        ("2001:db8:7:7::1", "2001:db8:7:7::{}", "2001:db8:7:8::1"),
        ("2001:db8::1", "2001:db8::{}:0:0:1", "2001:db8:0:1::1"),
    ):
        sources = [source.format(number) for number in range(2, 62)]
        if other:
            added = [f"address add {each}/128 dev lo nodad" for each in (to, *sources, other)]
            server.run(["ip", "-6", "-batch", "-"], stdin="\n".join(added))
        statuses = guess(to, *sources)
        assert set(statuses) == {"401", "429"}, source
        assert statuses.count("429") > 10, source
        if other:
            assert guess(to, other) == ["401"], source
