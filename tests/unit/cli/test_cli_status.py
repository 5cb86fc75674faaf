"""Status: from facts to what is wrong, and what the command makes of it."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from calls import Moorage, write_answers
from explained import explained
from fake_server import FakeServers, deploy, no_answer

from moorage.answers.load import load
from moorage.cli.status_view import status_as_json, status_lines
from moorage.deploy.certificates import ca
from moorage.deploy.plan.plan import Plan
from moorage.deploy.status.overview import look
from moorage.deploy.status.status import Status, how_it_ended, status_of
from moorage.desired import layout
from moorage.servers.facts import Disk, Draining, Facts, ManagedFile, RunRecord, Service
from moorage.servers.run_results import read_result

HOST = "one.example.test"


def _file(path: str, content: bytes) -> tuple[str, ManagedFile]:
    return path, ManagedFile(path, content, 0o644, "root", "root")


@pytest.fixture
def facts() -> Facts:
    """A healthy server."""
    site = b"server {}\n"
    record = {
        "moorage": "0.1.0",
        "domain": "registry.example.test",
        "deployed_at": "2026-01-02T03:04:05Z",
        "registry_version": "2.8.2",
        "digests": {layout.NGINX_SITE: hashlib.sha256(site).hexdigest()},
    }
    certificate = (
        ca.create("test", "registry.example.test").issue("registry.example.test").certificate
    )
    return Facts(
        HOST,
        files=dict(
            [
                _file(layout.DEPLOYMENT, json.dumps(record).encode()),
                _file(layout.NGINX_SITE, site),
                _file(layout.UPSTREAM, b"server 127.0.0.1:5102;\n"),
                _file(layout.TLS_CERTIFICATE, certificate),
            ]
        ),
        services={
            name: Service(name, "active", "enabled") for name in ("nginx", "moorage-registry@green")
        },
        disks=(Disk("/", 10 * 1024**3, 5 * 1024**3),),
        runs=(
            RunRecord("20260101", False, 1.0, "check", read_result("failed", ("old",))),
            RunRecord("20260102", False, 2.0, "drain", read_result("done", ())),
        ),
    )


def test_a_healthy_server(facts: Facts) -> None:
    status = status_of(facts)

    assert status.is_healthy, explained(status)
    assert (status.slot, status.is_serving, status.has_nginx) == ("green", True, True)
    assert status.registry_version == "2.8.2"
    assert status.certificate is not None
    assert status.certificate.names == ("registry.example.test",)
    assert status.certificate.days_left in {396, 397}
    assert status.run is not None
    assert status.run.run_id == "20260102"


def test_a_draining_slot_is_shown(facts: Facts) -> None:
    status = status_of(replace(facts, draining=(Draining("blue", 1.8e9, 1),)))

    assert status.is_healthy
    text = "\n".join(
        "".join(piece if isinstance(piece, str) else piece[0] for piece in line)
        for line in status_lines(Status((status,)))
    )
    assert "slot blue, 1 transfer since 2027-01-15T08:00:00Z; it stops when" in text
    [server] = status_as_json(Status((status,)))["servers"]  # type: ignore[misc]
    assert server["draining"] == {
        "slot": "blue", "transfers": 1, "since": "2027-01-15T08:00:00Z"
    }  # fmt: skip


def test_a_server_that_has_never_been_deployed() -> None:
    status = status_of(Facts(HOST))

    assert not status.is_deployed
    assert explained(status) == ("Nothing is deployed here.",)


def test_a_slot_that_is_down(facts: Facts) -> None:
    down = replace(facts, services={"nginx": facts.services["nginx"]})

    assert explained(status_of(down)) == (
        "The registry is not running: moorage-registry@green is not active.",
    )


def test_nginx_that_is_down(facts: Facts) -> None:
    services = {name: each for name, each in facts.services.items() if name != "nginx"}

    assert explained(status_of(replace(facts, services=services))) == (
        "nginx is not running. Start it: systemctl start nginx.",
    )


def test_nginx_that_was_removed(facts: Facts) -> None:
    services = {name: each for name, each in facts.services.items() if name != "nginx"}
    [fault] = explained(status_of(replace(facts, services=services, tools=frozenset({"ss"}))))
    assert fault.startswith("nginx is not running: nginx is no longer installed. Apply")


def test_drift(facts: Facts) -> None:
    changed = {**facts.files, **dict([_file(layout.NGINX_SITE, b"mine")])}
    gone = {path: file for path, file in facts.files.items() if path != layout.NGINX_SITE}

    assert status_of(replace(facts, files=changed)).drifted == (layout.NGINX_SITE,)
    assert explained(status_of(replace(facts, files=gone))) == (f"{layout.NGINX_SITE} is missing.",)


def test_a_problem_names_the_command_that_repairs_it(facts: Facts) -> None:
    gone = {path: file for path, file in facts.files.items() if path != layout.NGINX_SITE}
    status = Status((status_of(replace(facts, files=gone)),))
    lines = ["".join(part if isinstance(part, str) else part[0] for part in line)
             for line in status_lines(status)]  # fmt: skip
    assert f"  ✗ {layout.NGINX_SITE} is missing. (moorage apply FILE)" in lines
    [server] = status_as_json(status)["servers"]  # type: ignore[misc]
    assert [each["repair"] for each in server["problems"]] == ["apply"]


@pytest.mark.parametrize(
    ("days", "fault"),
    [(100, None), (390, "The certificate expires in"), (400, "The certificate expired on")],
)
def test_a_certificate_that_expires(facts: Facts, days: int, fault: str | None) -> None:
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)

    faults = explained(status_of(facts, now))

    assert [each for each in faults if fault and each.startswith(fault)] == list(faults)
    assert bool(faults) is (fault is not None)


def test_a_full_disk(facts: Facts) -> None:
    full = replace(facts, disks=(Disk("/srv", 10 * 1024**3, 100 * 1024**2),))

    assert explained(status_of(full)) == ("Only 100 MiB of 10.0 GiB are free on /srv.",)

    [fault] = explained(status_of(replace(full, unfinished_uploads=9 * 1024**3)))
    assert "Unfinished uploads take 9216 MiB" in fault


def test_a_disk_without_inodes(facts: Facts) -> None:
    full = replace(facts, disks=(Disk("/srv", 10 * 1024**3, 9 * 1024**3, 65536, 12),))

    [fault] = explained(status_of(full))
    assert fault.startswith("/srv has room for only 12 of 65536 files")


def test_a_failed_run_is_a_problem_until_one_succeeds(facts: Facts) -> None:
    failed = RunRecord(
        "20260103", False, 3.0, "check", read_result("failed", ("nginx answers 502",))
    )
    died = RunRecord("20260104", False, 4.0, "packages")
    done = RunRecord("20260105", False, 5.0, "drain", read_result("done", ()))

    def faults(*more: RunRecord) -> tuple[str, ...]:
        return explained(status_of(replace(facts, runs=(*facts.runs, *more))))

    assert faults(failed) == (
        "The last run, 20260103, failed while checking the registry through nginx: "
        "nginx answers 502",
    )
    assert faults(failed, died) == (
        "The last run, 20260104, was interrupted while installing packages.",
    )
    assert faults(failed, died, done) == ()
    assert how_it_ended(died) == "interrupted"


def test_a_run_refused_because_of_another_is_not_the_last_run(facts: Facts) -> None:
    failed = RunRecord("20260103", False, 3.0, "check", read_result("failed", ("old",)))
    locked = RunRecord("20260104", False, 4.0, "", read_result("locked", ("run_locked", "x")))

    status = status_of(replace(facts, runs=(*facts.runs, failed, locked)))

    assert status.run == failed
    assert [each.code for each in status.problems] == ["run_failed"]
    assert status_of(Facts(HOST, runs=(locked,))).run is None


def test_a_run_in_progress_is_not_a_problem(facts: Facts) -> None:
    going_on = RunRecord("20260103", True, 3.0, "packages")

    first = status_of(Facts(HOST, runs=(going_on,)))
    status = status_of(replace(facts, runs=(going_on,)))

    assert [each.code for each in first.problems] == ["not_deployed"]
    assert "still in progress" in first.problems[0].message
    assert status.is_healthy
    assert status.run == going_on
    assert how_it_ended(going_on) == "running"


def test_an_unreachable_server_does_not_hide_the_others(
    moorage: Moorage, home: Path, servers: FakeServers
) -> None:
    file = write_answers(home / "two.yml", [HOST, "two.example.test"])
    servers[HOST].fault = no_answer(HOST)

    outcome = moorage("status", str(file))
    value = moorage("status", str(file), "--json").json

    assert outcome.code == 4
    assert "two.example.test  nothing deployed" in outcome.stdout
    assert f"✗ {HOST}  unreachable" in outcome.stdout
    assert [server["server"] for server in value["servers"]] == ["two.example.test"]
    assert [error["server"] for error in value["unreached"]] == [HOST]
    assert value["has_changes"] is True


def test_without_all_servers_it_is_unknown_whether_an_apply_would_change_something(
    moorage: Moorage, home: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_answers(home / "two.yml", [HOST, "two.example.test"])
    moorage("apply", str(file), "--yes", "--no-verify")
    monkeypatch.setattr(Plan, "has_changes", False)
    servers[HOST].fault = no_answer(HOST)

    outcome = moorage("status", str(file))
    value = moorage("status", str(file), "--json").json

    assert outcome.code == 4
    assert f"whether an apply would change anything: {HOST} cannot be reached." in outcome.stdout
    assert value["has_changes"] is None


def test_other_recorded_servers_are_listed_but_not_contacted(
    moorage: Moorage, servers: FakeServers
) -> None:
    recorded = [{"host": HOST, "user": "root"}, {"host": "2001:db8::7", "port": 2222}]
    record = {
        "server": HOST, "domain": "registry.example.test",
        "answers": {
            "registry": {"domain": "registry.example.test"}, "servers": recorded,
            "storage": {"driver": "s3", "s3": {"bucket": "images", "region": "eu"}},
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        },
    }  # fmt: skip
    servers[HOST].files = {layout.DEPLOYMENT: json.dumps(record).encode()}

    told = moorage("status", "--server", f"root@{HOST}")
    both = moorage("status", "--server", HOST, "--server", "[2001:db8::7]", "--json")

    assert "○ [2001:db8::7]:2222  another server on record; not connected to" in told.stdout
    assert [each["server"] for each in both.json["servers"]] == [HOST, "2001:db8::7"]
    assert both.json["others"] == []
    assert servers["2001:db8::7"].connections == 1


def test_servers_record_which_answers_were_applied(
    moorage: Moorage, home: Path, servers: FakeServers
) -> None:
    answers = load(write_answers(home / "moorage.yml", [HOST]))
    before = look(answers, open_transport=servers.open)
    assert moorage("apply", "moorage.yml", "--yes", "--no-verify").code == 0

    other = answers.model_copy(update={"rollout": "all_at_once"})

    assert not before.has_answers
    assert look(answers, open_transport=servers.open).has_answers
    assert not look(other, open_transport=servers.open).has_answers


def test_a_server_without_an_answers_file(moorage: Moorage, servers: FakeServers) -> None:
    outcome = moorage("status", "--server", "root@[2001:db8::7]:2222", "--json")

    assert outcome.code == 1
    assert outcome.json["servers"][0]["server"] == "2001:db8::7"
    assert outcome.json["has_changes"] is None


def test_follow_shows_the_run_in_progress(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers[HOST].extra_facts = "run\t20260103\tyes\t3\tpackages\t\t\n"

    outcome = moorage("status", str(answers_file), "--follow")

    assert f"{HOST}: | Setting up nginx" in outcome.stderr
    assert f"{HOST}: done" in outcome.stderr


def test_servers_that_left_are_listed_until_they_are_uninstalled(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    deploy(servers[HOST], answers_file)
    record = json.loads(servers[HOST].files[layout.DEPLOYMENT])
    gone = {"host": "two", "user": "admin", "port": 2222, "bucket": "images",
            "at": "2026-03-02T10:00:00Z", "by": "ana\x1b[31m@desk"}  # fmt: skip
    record["left"] = [gone, {"host": "-oProxyCommand=id"}, {"host": HOST}, "nonsense"]
    servers[HOST].files[layout.DEPLOYMENT] = json.dumps(record).encode()

    text = answers_file.read_text().replace("user: root", "user: root, key: /keys/of ana")
    answers_file.write_text(text)
    shown = moorage("status", str(answers_file)).stdout
    [left] = moorage("status", str(answers_file), "--json").json["left"]

    assert "! admin@two:2222  left this deployment on 2026-03-02 10:00:00 UTC, by ana" in shown
    assert "moorage uninstall --server admin@two:2222 --key '/keys/of ana'. Then" in shown
    assert "moorage apply FILE --gone two." in shown
    assert "\x1b" not in shown
    assert "ProxyCommand" not in shown
    assert left | {"by": ""} == {
        "server": "two", "destination": "admin@two:2222", "bucket": "images", "prefix": None,
        "at": "2026-03-02T10:00:00Z", "by": "",
    }  # fmt: skip
    assert "two" not in servers
