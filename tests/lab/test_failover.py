"""The name follows the servers that work: three real registries, a real bind9, a real client."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from dns_at_work import ZONE, NameKeeper, keeper, signed
from hosts_file import name_in_hosts
from operator_at_work import DOMAIN, Operator
from patience import slowness, within
from test_several_servers import s3_storage

from lab import Lab, LabServer
from lab.image import build_small_image
from lab.names import NameService, start_bind
from lab.services import ObjectStore

pytestmark = pytest.mark.ready

# Long enough for a machine that is slower than usual to look at all servers in time.
INTERVAL, FALL, RISE, TTL = min(10, round(2 * slowness())), 2, 2, 2
WITHIN = 2 * INTERVAL + TTL
"""Seconds after which a client that resolves the name meets servers that work only."""
FAILOVER = {"interval": INTERVAL, "fall": FALL, "rise": RISE}


@pytest.fixture(scope="module")
def service(lab: Lab) -> Iterator[NameService]:
    """A bind9 for all tests of this module."""
    service = start_bind(lab)
    yield service
    lab.destroy(service.server)


@pytest.fixture
def names(service: NameService) -> NameService:
    """That bind9 with a fresh zone."""
    service.zones.clear()
    service.serve(ZONE)
    return service


class Foreground:
    """``moorage failover FILE --json`` while it goes on, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.news: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.news.append(json.loads(line))

    def count(self, kind: str) -> int:
        """How often something was told."""
        return sum(each["event"] == kind for each in self.news)

    def end(self) -> int:
        """End it as Ctrl-C does and return its exit code."""
        self.process.send_signal(2)
        code = self.process.wait(60)
        self._reader.join(5)
        return code


@pytest.fixture
def watched() -> Iterator[Callable[[NameKeeper], Foreground]]:
    """Start a watch that ends with the test."""
    begun: list[Foreground] = []

    def begin(keep: NameKeeper) -> Foreground:
        begun.append(Foreground(keep.start("failover", "moorage.yml", "--json")))
        return begun[-1]

    yield begin
    for watch in begun:
        watch.process.kill()
        watch.process.wait()


def _leads_to(names: NameService, machines: Sequence[LabServer]) -> Callable[[], bool]:
    wanted = sorted(machine.address for machine in machines)
    return lambda: names.dig(DOMAIN) == wanted


def _install(
    keep: NameKeeper,
    machines: Sequence[LabServer],
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    dns: dict[str, Any],
) -> None:
    """Install the registry with the command line, which makes the records, too."""
    storage = s3_storage(store, monkeypatch)
    keep.environment |= {"S3_ACCESS_KEY": store.access_key, "S3_SECRET_KEY": store.secret_key}
    keep.write(dns, list(machines), storage=storage)
    keep.add_known_hosts(*machines)
    installed = keep("apply", "moorage.yml", "--yes", "--json", "--no-verify")
    assert installed.code == 0, installed.stdout + installed.stderr
    assert installed.result["dns_change"]["is_served"]


@pytest.fixture
def resolving_client(client: LabServer, names: NameService) -> Iterator[LabServer]:
    """A client that asks bind9, with a fresh Docker login folder."""
    before = client.read_file("/etc/resolv.conf"), client.read_file("/etc/hosts")
    client.write_file("/etc/resolv.conf", f"nameserver {names.address}\noptions timeout:1\n")
    client.write_file(
        "/etc/hosts", "".join(x for x in before[1].splitlines(True) if DOMAIN not in x)
    )
    yield client
    client.write_file("/etc/resolv.conf", before[0])
    client.write_file("/etc/hosts", before[1])


def _push_and_trust(keep: NameKeeper, client: LabServer, tmp_path: Path) -> None:
    authority = next((keep.operator.home / "state" / "ca").glob("*/ca.pem")).read_text()
    for folder in ("docker", "containers"):
        client.write_file(f"/etc/{folder}/certs.d/{DOMAIN}/ca.crt", authority)
    archive = build_small_image(tmp_path / "small.tar", "small:1")
    client.inside("/tmp/small.tar").write_bytes(archive.read_bytes())
    client.write_file("/root/.docker/config.json", "{}")
    client.run(
        ["skopeo", "login", "-u", "ci", "--password-stdin", DOMAIN,
         "--authfile", "/root/.docker/config.json"],
        stdin=keep.environment["CI_PW"],
    )  # fmt: skip
    _skopeo(client, "docker-archive:/tmp/small.tar", f"docker://{DOMAIN}/team/small:1")


def _skopeo(client: LabServer, source: str, target: str) -> None:
    client.run(
        ["skopeo", "copy", "-q", "--authfile", "/root/.docker/config.json", source, target],
        timeout=60,
    )


def _pull(keep: NameKeeper, client: LabServer, names: NameService) -> None:
    """Pull by the name, and then from every address it leads to, as a client with bad luck would.

    (A client that tries several addresses would hide one that does not work.)
    """
    client.run("rm -rf /tmp/pulled")
    _skopeo(client, f"docker://{DOMAIN}/team/small:1", "dir:/tmp/pulled")
    for address in names.dig(DOMAIN):
        client.run(
            ["curl", "-sf", "-m", "5", "-o", "/dev/null", "--resolve", f"{DOMAIN}:443:{address}",
             "--cacert", f"/etc/docker/certs.d/{DOMAIN}/ca.crt", "-K", "-",
             "-H", "Accept: application/vnd.docker.distribution.manifest.v2+json",
             f"https://{DOMAIN}/v2/team/small/manifests/1"],
            stdin=f'user = "ci:{keep.environment["CI_PW"]}"\n',
        )  # fmt: skip


def test_the_record_follows_three_servers_through_crashes(
    operator: Operator,
    servers: Any,
    resolving_client: LabServer,
    names: NameService,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    watched: Callable[[NameKeeper], Foreground],
) -> None:
    keep = keeper(operator, names)
    machines = servers(3)
    one, two, three = machines
    _install(keep, machines, s3, monkeypatch, signed(names, ttl=TTL, failover=FAILOVER))
    assert _leads_to(names, machines)()
    _push_and_trust(keep, resolving_client, tmp_path)

    watch = watched(keep)
    time.sleep(2 * INTERVAL)
    assert watch.count("record") == 0, watch.news

    one.crash()
    within(WITHIN, _leads_to(names, [two, three]), "the name's addresses")
    time.sleep(TTL)
    _pull(keep, resolving_client, names)
    # Failover decides who is in the record; a plan does not want the crashed one back.
    assert keep("dns", "plan", "moorage.yml", "--detailed-exitcode").code == 0

    one.start()
    within(60, _leads_to(names, machines), "the name's addresses")
    _pull(keep, resolving_client, names)

    one.crash()
    two.crash()
    within(WITHIN, _leads_to(names, [three]), "the name's addresses")
    time.sleep(TTL)
    _pull(keep, resolving_client, names)

    three.crash()
    within(WITHIN, lambda: watch.count("none_left") == 1, "the news that none is left")
    time.sleep(2 * INTERVAL)
    assert _leads_to(names, [three])(), "the last server stays in the record"

    for machine in machines:
        machine.start()
    within(90, _leads_to(names, machines), "the name's addresses")
    _pull(keep, resolving_client, names)
    assert watch.end() == 130
    # What failover did in a row is one change; undone, the name is as the apply left it.
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert _leads_to(names, machines)()


def test_servers_that_fail_once_or_flap(
    operator: Operator,
    servers: Any,
    names: NameService,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    watched: Callable[[NameKeeper], Foreground],
) -> None:
    keep = keeper(operator, names)
    machines = servers(2)
    _install(keep, machines, s3, monkeypatch, signed(names, ttl=TTL, failover=FAILOVER))
    _once_removes_and_restores(keep, names, machines)
    # Stopping and starting nginx may take some intervals on a machine that is busy now.
    keep.document["dns"]["failover"] = FAILOVER | {"fall": 8}
    keep.file.write_text(json.dumps(keep.document))
    _flapping_does_not_flap_the_record(keep, names, machines, watched)


def _flapping_does_not_flap_the_record(
    keep: NameKeeper,
    names: NameService,
    machines: Sequence[LabServer],
    watched: Callable[[NameKeeper], Foreground],
) -> None:
    before = names.dig(ZONE, "SOA")
    watch = watched(keep)
    time.sleep(INTERVAL)

    end = time.monotonic() + 12 * INTERVAL
    while time.monotonic() < end:
        # Down for less than it takes to be sure of it.
        machines[0].run("systemctl stop nginx; sleep 0.5; systemctl start nginx; sleep 2")

    assert watch.count("bad") >= 1, "it was noticed"
    assert watch.count("out") == watch.count("record") == 0
    assert names.dig(ZONE, "SOA") == before, "the zone was not touched"

    # Somebody else's change is told and left alone.
    names.serve(ZONE, "registry 30 A 198.51.100.66\n")
    machines[0].run("systemctl stop nginx")
    within(30 + 8 * INTERVAL, lambda: watch.count("foreign") == 1, "the news of a foreign change")
    assert names.dig(DOMAIN) == ["198.51.100.66"]
    watch.end()


def _once_removes_and_restores(
    keep: NameKeeper, names: NameService, machines: Sequence[LabServer]
) -> None:
    one, two = machines
    one.run("systemctl stop nginx")
    once = keep("failover", "moorage.yml", "--once", "--json")
    assert once.code == 0, once.stdout + once.stderr
    assert once.result["record"] == [two.address]
    assert names.dig(DOMAIN) == [two.address]

    two.run("systemctl stop nginx")
    assert keep("failover", "moorage.yml", "--once").code == 0
    assert names.dig(DOMAIN) == [two.address], "the last one stays"

    one.run("systemctl start nginx")
    two.run("systemctl start nginx")
    assert keep("failover", "moorage.yml", "--once").code == 0
    assert _leads_to(names, machines)()

    # A certificate that clients would refuse counts as down.
    one.run("cp -a /etc/nginx/moorage/tls /root && "
            "openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=wrong "
            "-keyout /etc/nginx/moorage/tls/key.pem -out /etc/nginx/moorage/tls/fullchain.pem "
            "2>/dev/null && systemctl reload nginx && sleep 1")  # fmt: skip
    once = keep("failover", "moorage.yml", "--once", "--json")
    assert names.dig(DOMAIN) == [two.address]
    faults = {each["address"]: each["fault"] for each in once.result["servers"]}
    assert "certificate" in faults[one.address]
    one.run("cp -a /root/tls/* /etc/nginx/moorage/tls && systemctl reload nginx && sleep 1")
    assert keep("failover", "moorage.yml", "--once").code == 0
    assert _leads_to(names, machines)()


def test_a_server_with_a_new_address_is_followed(
    operator: Operator,
    servers: Any,
    names: NameService,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    watched: Callable[[NameKeeper], Foreground],
) -> None:
    keep = keeper(operator, names)
    machines = servers(3)
    one, two, new = machines
    _install(keep, machines, s3, monkeypatch, signed(names, ttl=TTL, failover=FAILOVER))
    moving = f"moving-{one.address.replace('.', '-')}.example.test"

    document = keep.document
    document["servers"] = [
        {**document["servers"][0], "address": moving},
        document["servers"][1],
    ]
    keep.file.write_text(json.dumps(document))
    with name_in_hosts(moving) as lead_to:
        lead_to(one.address)
        assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
        watch = watched(keep)
        within(20, lambda: watch.count("begin") == 1, "the news that it begins")
        lead_to(new.address)
        within(20, _leads_to(names, [two, new]), "the name's addresses")
        assert watch.count("address") == 1
        watch.end()


def test_the_service_runs_on_a_separate_machine(
    operator: Operator,
    servers: Any,
    names: NameService,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep = keeper(operator, names)
    one, two, watcher = servers(3)
    _install(keep, [one, two], s3, monkeypatch, signed(names, ttl=TTL, failover=FAILOVER))
    keep.add_known_hosts(one, two, watcher)
    (keep.operator.home / ".ssh" / "config").write_text(
        f"Host {watcher.address}\n  IdentityFile {watcher.key}\n"
    )
    on = ["--on", f"root@{watcher.address}"]
    absent = keep("failover", "status", "moorage.yml", *on, "--json")
    assert (absent.code, absent.json["error"]["code"]) == (1, "not_installed")

    installed = keep("failover", "install", "moorage.yml", *on, "--json")
    assert installed.code == 0, installed.stdout + installed.stderr
    assert installed.json["watch"]["record"] == sorted([one.address, two.address])

    unit = f"moorage-failover@{DOMAIN}.service"
    process = watcher.run(f"ps -o user:32=,args= -p $(systemctl show -P MainPID {unit})").stdout
    assert process.startswith("moorage-failover ")
    folder = f"/etc/moorage-failover/{DOMAIN}"
    mode = watcher.run(f"stat -c '%U %a' {folder}/secrets.json").stdout.strip()
    assert mode == "moorage-failover 400"
    shown = (
        watcher.run(f"systemctl show {unit}").stdout + watcher.run(f"systemctl cat {unit}").stdout
    )
    assert names.key.secret not in shown

    one.crash()
    within(WITHIN, _leads_to(names, [two]), "the name's addresses")
    status = keep("failover", "status", "moorage.yml", *on)
    assert status.code == 0, status.stdout + status.stderr
    assert f"out {one.address} {one.address}" in status.stdout
    one.start()
    within(60, _leads_to(names, [one, two]), "the name's addresses")

    watcher.crash()
    watcher.start()
    two.crash()
    within(30, _leads_to(names, [one]), "the name's addresses")

    # Again: a new version takes the old one's place.
    assert keep("failover", "install", "moorage.yml", *on).code == 0
    assert keep("failover", "uninstall", "moorage.yml", *on).code == 0
    left = watcher.run(
        "ls -d /etc/moorage-failover /usr/local/lib/moorage-failover "
        "/var/lib/moorage-failover /etc/systemd/system/moorage-failover@.service 2>/dev/null; "
        "id moorage-failover 2>&1",
        check=False,
    ).stdout
    assert "no such user" in left
    assert "/moorage-failover" not in left
    assert _leads_to(names, [one])(), "the record is left unchanged"
