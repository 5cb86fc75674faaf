"""Guessing passwords is held to a limit; people who know theirs never notice it."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest
from operator_at_work import DOMAIN, Operator
from raw_http import Reply, Wire

from lab import LabServer
from lab.machine import say

pytestmark = pytest.mark.ready
SLOW = pytest.mark.slow_hashes

TOLERATED = 20
"""Wrong passwords from one address before it is turned away; 30 more a minute."""


def _guess(wire: Wire, count: int, user: str = "ci") -> list[Reply]:
    """Try as many wrong passwords, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        return list(
            pool.map(lambda n: wire.ask("GET", "/v2/", login=(user, f"guess {n}")), range(count))
        )


@SLOW
def test_guessing_is_limited_and_known_logins_still_work(
    operator: Operator, server: LabServer, client: LabServer
) -> None:
    operator.install(operator.answers([server]))
    wire, login = Wire(server.address, DOMAIN), ("ci", operator.passwords["ci"])
    assert wire.ask("GET", "/v2/", login=login).status == 200

    with ThreadPoolExecutor(18) as pool:
        started = time.monotonic()
        guessing = pool.submit(_guess, wire, 100)
        pulls = [
            pool.submit(wire.ask, "GET", f"/v2/load/tags/list?n={n}", login=login)
            for n in range(400)
        ]
        guesses = guessing.result()
        seconds = time.monotonic() - started
        pulled = Counter(pull.result().status for pull in pulls)

    statuses = Counter(reply.status for reply in guesses)
    say(f"100 guesses: {dict(statuses)}; meanwhile 400 requests of a known login: {dict(pulled)}")
    assert set(statuses) == {401, 429}
    # Those under way when the limit was reached still count.
    assert statuses[401] <= TOLERATED + 10 + seconds / 2
    assert pulled == {404: 400}
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


@SLOW
def test_many_users_behind_one_address_log_in_at_once(
    operator: Operator, server: LabServer
) -> None:
    names = [f"user{number}" for number in range(10)]
    users = [{"name": name, "password": {"generate": True}} for name in names]
    operator.install(operator.answers([server], credentials={"users": users}))
    wire = Wire(server.address, DOMAIN)

    def log_in(name: str) -> int:
        return wire.ask("GET", "/v2/", login=(name, operator.passwords[name])).status

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(log_in, names)) == {200}


@SLOW
def test_an_unknown_name_takes_as_long_as_a_wrong_password(
    operator: Operator, server: LabServer
) -> None:
    users = [
        {"name": "ci", "password": {"generate": True}},
        {"name": "out", "password": {"generate": True}, "disabled": True},
    ]
    operator.install(operator.answers([server], credentials={"users": users}))
    wire, password = Wire(server.address, DOMAIN), operator.passwords["ci"]
    unknown = ("x", "c", "ci2", "dora.with-a+long_name" * 3, "out", "jürgen", "#ci")

    def seconds(name: str, number: int) -> float:
        began = time.monotonic()
        assert wire.ask("GET", "/v2/", login=(name, f"guess {number}")).status == 401
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
def test_a_repeated_wrong_password_counts_once(operator: Operator, server: LabServer) -> None:
    wire = Wire(server.address, DOMAIN)
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(
            lambda _: wire.ask("GET", "/v2/", login=("ci", "an old password")).status, range(200)
        )
        assert set(asked) == {401}
    assert wire.ask("GET", "/v2/", login=("ci", operator.passwords["ci"])).status == 200


@pytest.mark.deployed
def test_requests_without_a_password_are_never_limited(
    operator: Operator, server: LabServer
) -> None:
    wire = Wire(server.address, DOMAIN)
    guesses = _guess(wire, 60)
    assert 429 in {reply.status for reply in guesses}
    reply = wire.ask("GET", "/v2/")
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="Registry"'
    assert json.loads(reply.body)["errors"][0]["code"] == "UNAUTHORIZED"


# Guesses once from each of many addresses that one client has: FROM_MANY PORT ADDRESS...
FROM_MANY = """
to=$1
shift
for from; do
    login=$(printf 'ci:guess %s' "$from" | openssl base64 -A)
    {
        printf 'GET /v2/ HTTP/1.1\\r\\nHost: DOMAIN\\r\\nConnection: close\\r\\n'
        printf 'Authorization: Basic %s\\r\\n\\r\\n' "$login"
    } | openssl s_client -quiet -bind "$from" -connect "$to" 2>/dev/null |
        sed -n '1s/^HTTP.... //p' | cut -c 1-3
done
"""


@pytest.mark.deployed
@pytest.mark.parametrize(
    ("to", "source", "other"),
    [
        ("127.0.0.1", "127.0.0.{}", ""),
        ("2001:db8:7:7::1", "2001:db8:7:7::{}", "2001:db8:7:8::1"),
        ("2001:db8::1", "2001:db8::{}:0:0:1", "2001:db8:0:1::1"),
    ],
)
def test_all_addresses_of_one_client_count_as_one(
    to: str, source: str, other: str, operator: Operator, server: LabServer
) -> None:
    sources = [source.format(number) for number in range(2, 47)]
    if other:
        added = " ".join((to, *sources, other))
        server.run(f"for each in {added}; do ip -6 addr add $each/128 dev lo nodad; done")

    def guess(*sources: str) -> list[str]:
        places = [f"[{each}]" if ":" in each else each for each in (to, *sources)]
        code = FROM_MANY.replace("DOMAIN", DOMAIN)
        words = [f"{places[0]}:443", *(f"{each}:0" for each in places[1:])]
        return server.run(["sh", "-c", code, "sh", *words]).stdout.split()

    statuses = guess(*sources)
    assert set(statuses) == {"401", "429"}
    assert statuses.count("429") > 10
    if other:
        assert guess(other) == ["401"]
