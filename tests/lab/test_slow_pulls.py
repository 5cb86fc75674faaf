"""Clients that pull slowly cost a server neither disk nor much memory."""

from __future__ import annotations

import hashlib
import os
import time

import pytest
from operator_at_work import Operator

from bench.slow_pulls import Cost, SlowPulls, push_blob
from lab import LabServer
from lab.machine import say
from moorage.desired.limits import memory_limit

pytestmark = pytest.mark.ready

PULLS = 20
MiB = 1024**2


def _wait_until_answered(slow: SlowPulls) -> None:
    end = time.monotonic() + 60
    while 0 in slow.statuses and time.monotonic() < end:
        time.sleep(0.2)


@pytest.mark.deployed
def test_slow_pulls_use_no_disk_and_bounded_memory(operator: Operator, server: LabServer) -> None:
    client = operator.client(server)
    large, small = push_blob(client, 200 * MiB), push_blob(client, 4 * MiB)

    whole = SlowPulls(client, small, 1, 600_000)
    with SlowPulls(client, large, PULLS, 50_000) as slow, whole:
        _wait_until_answered(slow)
        # Workers that are replaced send what they have begun to its end.
        for _ in range(4):
            server.run("nginx -s reload")
            began = time.monotonic()
            pulled = client.request("GET", small)
            longest = time.monotonic() - began
            assert hashlib.sha256(pulled.body).hexdigest() == small.rpartition(":")[2]
            time.sleep(1)
        cost = Cost.of(server)
        while not whole.digests and not whole.failures:
            time.sleep(0.1)
    say(f"{PULLS} slow pulls: {cost}; a pull of 4 MiB beside them took {longest:.2f} s")
    assert set(slow.statuses) == {200}
    assert slow.failures == whole.failures == []
    assert whole.digests == [small.rpartition(":")[2]]
    assert cost.spooled < MiB
    # A pull takes 4 MiB, and the garbage collector lets the whole grow to twice that.
    assert cost.registry < (40 + PULLS * 10) * MiB
    assert cost.nginx < 250 * MiB

    process = server.run("systemctl show -p MainPID --value moorage-registry@blue").stdout.strip()
    environment = server.run(f"cat /proc/{process}/environ").stdout
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert f"GOMEMLIMIT={memory_limit(memory)}B" in environment.split("\0")

    # As on a server with less memory.
    server.run(
        "sed -i 's/limit_conn moorage_pulls [0-9]*;/limit_conn moorage_pulls 8;/; "
        "s/limit_conn moorage_pullers [0-9]*;/limit_conn moorage_pullers 4;/' "
        "/etc/nginx/conf.d/moorage.conf && nginx -t -q && nginx -s reload && sleep 1"
    )
    with SlowPulls(client, large, 6, 50_000) as slow:
        _wait_until_answered(slow)
        assert sorted(slow.statuses) == [200] * 4 + [503] * 2
        refused = client.request("GET", small)
        assert (refused.status, refused.header("Retry-After")) == (503, "5")
        assert "too many layers" in refused.excerpt
        assert client.request("GET", f"{small}?x=/").status == 503
        # What is no layer is not counted.
        assert client.request("GET", "/v2/").status == 200
