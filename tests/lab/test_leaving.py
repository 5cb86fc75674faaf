"""A server that leaves the answers: its registry keeps running until it is uninstalled."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from acme_answers import acme_section, renew
from boot_servers import BootServers
from command_line import PASSWORD, CommandLine
from dns_at_work import ZONE, NameKeeper, keeper, signed
from handshake import next_certificate, served_certificate
from images_at_work import client_of
from operator_at_work import DOMAIN, Operator
from outcome_of_call import Outcome
from patience import slowness, within
from thorough import THOROUGH
from traffic import PAUSE, push_blob
from workstation import Workstation

from lab import Lab, LabServer
from lab.acme import start_authority
from lab.names import NameService, start_bind
from lab.services import ObjectStore
from moorage.answers.secrets import Secret
from moorage.deploy.verify.registry_client import RegistryClient
from moorage.images.alive import CLOCK_STEP

pytestmark = pytest.mark.ready("python3")
TTL = 2


def _in_bucket(s3: ObjectStore) -> dict[str, Any]:
    return {
        "driver": "s3",
        "s3": {
            "bucket": s3.bucket, "region": s3.region, "regionendpoint": s3.endpoint,
            "secure": False, "rootdirectory": "/leaving",
            "accesskey": {"env": "S3_ACCESS_KEY"}, "secretkey": {"env": "S3_SECRET_KEY"},
        },
    }  # fmt: skip


_APPLY = ("apply", "moorage.yml", "--yes", "--json", "--no-verify")


def _deployed_on_two(
    call: CommandLine, servers: BootServers, s3: ObjectStore
) -> tuple[LabServer, LabServer, dict[str, Any]]:
    """Deploy two servers that share a bucket; return them, and the storage in the answers."""
    first, second = servers(2)
    call.environment |= {
        "CI_PW": PASSWORD, "S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key,
    }  # fmt: skip
    call.add_known_hosts(first, second)
    storage = _in_bucket(s3)
    call.write_answers(first, second, storage=storage)
    assert call(*_APPLY, "--passwords-to=pw").code == 0
    return first, second, storage


def _plan(outcome: Outcome) -> Any:
    return next(each for each in outcome.lines if each["event"] == "plan")


def test_images_of_a_server_that_left_are_not_collected(
    call: CommandLine, operator: Operator, servers: BootServers, s3: ObjectStore
) -> None:
    first, second, storage = _deployed_on_two(call, servers, s3)
    operator.passwords["ci"] = PASSWORD
    call.write_answers(first, storage=storage)
    left = call(*_APPLY)
    assert left.code == 0, left
    [told] = [each for each in _plan(left)["consequences"] if each["code"] == "server_left_out"]
    assert told["servers"] == [second.address]
    assert not call("plan", "moorage.yml", "--json").json["has_changes"]

    # It still writes to the bucket.
    layer = os.urandom(20_000)
    client_of(operator, second).push("team/app", "1", [layer])
    client_of(operator, first).push("team/old", "1", [os.urandom(20_000)])
    time.sleep(CLOCK_STEP + 1)
    for words in (("collect", "moorage.yml"), ("delete", "moorage.yml", "team/old")):
        refused = call("images", *words, "--yes", "--json")
        assert refused.code == 1
        error = refused.result["error"]
        assert error["code"] == "images_server_left", refused
        assert second.address in error["message"]
        assert f"moorage uninstall --server root@{second.address}" in error["advice"]

    assert call("apply", "moorage.yml", "--yes", "--gone", "other.example.com").code == 1
    gone = call(
        "uninstall", f"--server=root@{second.address}", f"--key={second.key}", "--yes", "--json"
    )
    assert gone.code == 0, gone
    assert gone.result["remembered"] == [second.address]
    assert call("images", "collect", "moorage.yml", "--yes").code == 1
    forgotten = call(*_APPLY, "--gone", second.address)
    assert forgotten.code == 0, forgotten
    collected = call("images", "collect", "moorage.yml", "--yes", "--json", "--young=0s")
    assert collected.code == 0, collected
    assert client_of(operator, first).pull("team/app", "1")


class ClientsOfName:
    """Clients that push and pull by the registry's name, as resolvers cache it.

    Attributes:
        failures: Failed pushes or pulls, with the address that they went to.
        count: The number of pushes, each followed by a pull.
    """

    def __init__(self, names: NameService, clients: dict[str, RegistryClient]) -> None:
        self.failures: list[str] = []
        self.count = 0
        self._clients = clients
        self._names = names
        self._cached = names.dig(DOMAIN)
        self._ended = threading.Event()
        work = [self._resolve, *(partial(self._work, number) for number in range(4))]
        self._threads = [threading.Thread(target=each, daemon=True) for each in work]

    def __enter__(self) -> ClientsOfName:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _resolve(self) -> None:
        while not self._ended.wait(TTL):
            self._cached = self._names.dig(DOMAIN) or self._cached

    def _work(self, number: int) -> None:
        while not self._ended.is_set():
            address = random.choice(self._cached)
            try:
                client, blob = self._clients[address], os.urandom(20_000)
                digest = push_blob(client, f"load/worker{number}", blob)
                pulled = client.request("GET", f"/v2/load/worker{number}/blobs/{digest}")
                assert (pulled.status, pulled.body) == (200, blob)
            except Exception as error:  # Any error is a failure.
                self.failures.append(f"{address}: {error!r}")
            self.count += 1
            self._ended.wait(PAUSE)


def test_servers_leave_and_are_uninstalled_under_load(
    lab: Lab, operator: Operator, servers: BootServers, s3: ObjectStore
) -> None:
    """The first of the answers leaves."""
    leaving, staying = machines = servers(2)
    names = start_bind(lab)
    names.serve(ZONE)
    keep = _keeper_of(operator, names, s3, machines)
    dns, storage = signed(names, ttl=TTL), _in_bucket(s3)
    keep.write(dns, machines, storage=storage)
    assert keep(*_APPLY_ALL).code == 0
    operator.passwords["ci"] = keep.environment["CI_PW"]
    try:
        with ClientsOfName(
            names, {each.address: operator.client(each) for each in machines}
        ) as clients:
            keep.write(dns, [staying], storage=storage)
            _apply_without(keep, names, leaving, [staying])
        _check_served(clients)
    finally:
        lab.destroy(names.server)


@THOROUGH
@pytest.mark.ready("python3", "certbot")
def test_dns_failover_and_certificates_follow(
    lab: Lab, operator: Operator, servers: BootServers, s3: ObjectStore, tmp_path: Path
) -> None:
    """Servers leave, first one of three and then one of two, with ACME and the failover service.

    The name server of the registry's zone is also the one that the authority asks.
    """
    machines = servers(3)
    names = start_bind(lab)
    names.serve(ZONE)
    authority = start_authority(lab, tmp_path / "authority", name_server=f"{names.address}:53")
    keep = _keeper_of(operator, names, s3, machines)
    failover = {"interval": round(2 * slowness()), "fall": 2, "rise": 2}
    parts = {
        "storage": _in_bucket(s3), "ssl": {"mode": "acme", "acme": acme_section(authority)},
    }  # fmt: skip
    keep.write(signed(names, ttl=TTL, failover=failover), machines, **parts)
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
    assert keep(*_APPLY_ALL).code == 0
    password = Secret(keep.environment["CI_PW"])
    reach = {
        each.address: RegistryClient(
            each.address, 443, DOMAIN, True, authority.roots(), "ci", password
        )
        for each in machines
    }
    on = ("moorage.yml", "--on", machines[-1].address, "--json")
    assert keep("failover", "install", *on).code == 0
    try:
        with ClientsOfName(names, reach) as clients:
            for leaving, *staying in (machines, machines[1:]):
                rules = {"failover": failover} if len(staying) > 1 else {}
                keep.write(signed(names, ttl=TTL, **rules), staying, **parts)
                _apply_without(keep, names, leaving, staying)
                # The service still has the servers from before.
                is_left_out = partial(_is_left_out, keep, names, on, leaving)
                within(120, is_left_out, "failover to leave it out")
                for server in staying:
                    files = server.run(f"grep -rlF {leaving.address} /etc/nginx", check=False)
                    assert not files.stdout
                    before = served_certificate(server)
                    renew(server)
                    next_certificate(server, before)
        _check_served(clients)
    finally:
        authority.stop()
        lab.destroy(names.server)


_APPLY_ALL = ("apply", "moorage.yml", "--yes", "--json", "--skip-large-upload")


def _keeper_of(
    operator: Operator, names: NameService, s3: ObjectStore, machines: list[LabServer]
) -> NameKeeper:
    keep = keeper(operator, names)
    keep.environment |= {"S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key}
    keep.add_known_hosts(*machines)
    return keep


def _apply_without(
    keep: NameKeeper, names: NameService, leaving: LabServer, staying: list[LabServer]
) -> None:
    """Take a server out, and check that nothing of it is left."""
    done = keep(*_APPLY_ALL, "--leaving", "uninstall")
    assert done.code == 0, done
    assert _plan(done)["uninstalls"] == [leaving.address]
    assert [each["status"] for each in done.result["left"]] == ["done"]
    assert names.dig(DOMAIN) == sorted(each.address for each in staying)
    assert leaving.run("ls /etc/moorage", check=False).returncode != 0
    record = json.loads(staying[0].read_file("/etc/moorage/deployment.json"))
    assert record["left"] == []
    plan = keep("plan", "moorage.yml", "--json").json
    assert not plan["has_changes"], plan


def _check_served(clients: ClientsOfName) -> None:
    print(f"{clients.count} pushes and pulls, {len(clients.failures)} failed")
    assert not clients.failures, clients.failures
    assert clients.count > 20


def _is_left_out(
    keep: NameKeeper, names: NameService, on: Sequence[str], leaving: LabServer
) -> bool:
    """Whether failover leaves a server out; until then the name must not point to it."""
    assert leaving.address not in names.dig(DOMAIN)
    watch = keep("failover", "status", *on).json["watch"]
    # It can find the server uninstalled before it finds it out of the record.
    down = {each["address"] for each in watch["servers"] if not each["is_in"]}
    return leaving.address in {*watch["taken_out"], *down}


def _check_that_users_of_those_that_stayed_count(
    call: CommandLine, left: LabServer, stayed: LabServer
) -> None:
    """A server that comes back by itself gets them, although its own were changed more often."""
    answers = json.loads((call.home / "moorage.yml").read_text())
    (call.home / "left.yml").write_text(json.dumps(answers | {"servers": answers["servers"][:1]}))
    assert call("users", "add", "left.yml", "old", "--yes", "--passwords-to=pw-old").code == 0
    assert call("users", "remove", "left.yml", "bot", "--yes").code == 0
    limited = ("plan", "moorage.yml", "--limit", left.address, "--json")
    found = {each["code"]: each["users"] for each in call(*limited).json["consequences"]}
    assert found["users_discarded"] == ["bot", "old"]
    assert found["users_removed"] == ["old"]
    stayed.run("systemctl stop ssh.socket ssh")
    [note] = [
        each
        for each in call(*limited).json["servers"][0]["notes"]
        if each["code"] == "others_unread"
    ]
    assert stayed.address in note["text"]
    stayed.run("systemctl start ssh")


def test_a_leaving_server_that_cannot_be_reached_is_remembered(
    call: CommandLine, servers: BootServers, s3: ObjectStore
) -> None:
    first, second, storage = _deployed_on_two(call, servers, s3)

    call.write_answers(second, storage=storage)
    first.run("systemctl stop ssh.socket ssh")
    done = call(*_APPLY, "--leaving", "uninstall")
    assert done.code == 5, done
    [left] = done.result["left"]
    assert (left["server"], left["status"]) == (first.address, "failed")
    assert left["code"] == "unreachable", left
    record = json.loads(second.read_file("/etc/moorage/deployment.json"))
    assert [each["host"] for each in record["left"]] == [first.address]
    first.run("systemctl start ssh")
    # Another operator's older answers say that they bring it back.
    call.write_answers(first, second, storage=storage, based_on=1)
    [joins] = [
        each
        for each in call("plan", "moorage.yml", "--json").json["consequences"]
        if each["code"] == "server_joins"
    ]
    assert (joins["severity"], joins["servers"]) == ("destructive", [first.address])
    _check_that_users_of_those_that_stayed_count(call, first, second)
    call.write_answers(second, storage=storage)
    _uninstall_by_keystrokes(call, first, second)


def _uninstall_by_keystrokes(call: CommandLine, left: LabServer, stayed: LabServer) -> None:
    """Uninstall the server that left, then the other, in a terminal of 80 by 24."""
    workstation = Workstation(call.home)
    shutil.copy(call.home / ".ssh" / "known_hosts", call.home / "known_hosts")
    _read_secrets_from_files(call)
    wizard = workstation.wizard("moorage.yml", size=(80, 24))
    try:
        wizard.see(f"! root@{left.address}")
        wizard.press("v")
        wizard.see("Left, keep running (l: choose)")
        wizard.press("l")
        wizard.see("(•) Keep running")
        wizard.press("Down")
        wizard.see("(•) Uninstall")
        wizard.press("C-s")
        wizard.see("The registry is removed at the end from")
        wizard.press("Enter")
        wizard.see("Apply and uninstall")
        wizard.press("Tab", "Enter")
        wizard.see(f"✓ {left.address}: uninstalled", seconds=180)
        assert left.run("ls /etc/moorage", check=False).returncode != 0
        assert json.loads(stayed.read_file("/etc/moorage/deployment.json"))["left"] == []

        wizard.press("Escape")
        wizard.see("healthy, certificate")
        wizard.press("X")
        wizard.see("[ ] Remove the packages")
        wizard.press("C-s")
        wizard.see(f"Type {DOMAIN} to remove it")
        wizard.type(DOMAIN)
        wizard.press("Enter")
        wizard.see("The registry was removed.", seconds=180)
        assert stayed.run("ls /etc/moorage", check=False).returncode != 0
    finally:
        wizard.close()


def _read_secrets_from_files(call: CommandLine) -> None:
    """Let the answers name files: a terminal's environment is in the arguments of a process."""
    file = call.home / "moorage.yml"
    text = file.read_text()
    for name, secret in call.environment.items():
        path = call.home.parent / name
        path.write_text(secret)
        path.chmod(0o600)
        text = re.sub(rf'\{{\s*"?env"?: "?{name}"?\s*\}}', f'{{"file": "{path}"}}', text)
    file.write_text(text)
