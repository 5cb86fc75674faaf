"""`moorage users` on two real servers; what curl is answered afterwards is the outcome."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
import yaml
from command_line import PASSWORD, CommandLine, Outcome
from operator_at_work import SECRET_FILES, Operator
from passlib.hash import apr_md5_crypt

from lab import LabServer
from lab.services import ObjectStore

pytestmark = pytest.mark.ready

HASHES_MAY_BE = SECRET_FILES[1:]
ANAS_PASSWORD = "gravel-lantern-19-otter"
ANAS_NEXT_PASSWORD = "meadow-circuit-83-plum"
OLDER_PRODUCT = "/etc/nginx/conf.d/cloud66.htpasswd"


@pytest.fixture
def machines(servers: object) -> Sequence[LabServer]:
    """Two fresh servers."""
    booted: Sequence[LabServer] = servers(2)  # type: ignore[operator]
    return booted


@pytest.fixture
def call(
    operator: Operator, machines: Sequence[LabServer], s3: ObjectStore
) -> Iterator[CommandLine]:
    """A command line whose moorage.yml is deployed on both servers."""
    for secret, label in (
        (PASSWORD, "ci"), (ANAS_PASSWORD, "ana"), (ANAS_NEXT_PASSWORD, "ana, the second"),
    ):  # fmt: skip
        operator.leaks.add(secret, label=f"the password of {label}")
    line = CommandLine(operator)
    line.environment |= {
        "S3_ACCESS_KEY": s3.access_key, "S3_SECRET_KEY": s3.secret_key, "ANA_PW": ANAS_PASSWORD,
    }  # fmt: skip
    storage = {
        "bucket": s3.bucket, "region": s3.region, "regionendpoint": s3.endpoint, "secure": False,
        "accesskey": {"env": "S3_ACCESS_KEY"}, "secretkey": {"env": "S3_SECRET_KEY"},
    }  # fmt: skip
    users = [{"name": "ci", "access": "push", "password": {"env": "CI_PW"}}]
    line.write_answers(
        *machines, storage={"driver": "s3", "s3": storage}, credentials={"users": users}
    )
    line.add_known_hosts(*machines)
    applied = line("apply", "moorage.yml", "--yes", "--no-verify")
    assert applied.code == 0, applied.stdout + applied.stderr
    yield line
    for process in line.going_on:
        process.kill()
        process.wait()


def statuses(
    call: CommandLine, machines: Sequence[LabServer], user: str, password: str, path: str = "/v2/"
) -> list[int]:
    """Return what each server answers a user."""
    return [call.operator.status(each, path, user=user, password=password) for each in machines]


def made(call: CommandLine, file: str) -> str:
    """Return the password in a file of --passwords-to, and watch for it."""
    path = call.home / file
    assert path.stat().st_mode & 0o777 == 0o600
    password = path.read_text().strip().partition(":")[2]
    call.operator.leaks.add(password, [str(path)], label=f"the password in {file}")
    return password


def users_in(call: CommandLine) -> dict[str, dict[str, object]]:
    """Return the users that moorage.yml lists."""
    document = yaml.safe_load((call.home / "moorage.yml").read_text())
    return {user["name"]: user for user in document["credentials"]["users"]}


def ok(outcome: Outcome) -> Outcome:
    """Insist that a call worked."""
    assert outcome.code == 0, outcome.stdout + outcome.stderr
    return outcome


def test_the_life_of_a_user(call: CommandLine, machines: Sequence[LabServer]) -> None:
    added = ok(call(
        "users", "add", "moorage.yml", "ana", "--access", "pull", "--repository", "team-a/*",
        "--password", "env:ANA_PW", "--yes",
    ))  # fmt: skip
    assert "+ ana: pull team-a/* (bcrypt hash)" in added.stderr
    assert '+"ana" "pull team-a/*";' in added.stderr
    assert "Updated moorage.yml." in added.stderr
    assert statuses(call, machines, "ana", ANAS_PASSWORD) == [200, 200]
    assert statuses(call, machines, "ana", ANAS_PASSWORD, "/v2/team-b/x/tags/list") == [403, 403]
    assert users_in(call)["ana"] == {
        "name": "ana", "access": "pull", "repositories": ["team-a/*"],
        "password": {"generate": True},
    }  # fmt: skip
    assert users_in(call)["ci"]["password"] == {"env": "CI_PW"}
    assert ok(call("plan", "moorage.yml", "--detailed-exitcode")).code == 0

    ok(call("users", "passwd", "moorage.yml", "ana", "--password-stdin", "--yes",
            stdin=f"{ANAS_NEXT_PASSWORD}\n"))  # fmt: skip
    assert statuses(call, machines, "ana", ANAS_PASSWORD) == [401, 401]
    assert statuses(call, machines, "ana", ANAS_NEXT_PASSWORD) == [200, 200]

    ok(call("users", "access", "moorage.yml", "ana", "push", "--all-repositories", "--yes"))
    assert statuses(call, machines, "ana", ANAS_NEXT_PASSWORD, "/v2/_catalog") == [200, 200]

    ok(call("users", "disable", "moorage.yml", "ana", "--yes"))
    assert statuses(call, machines, "ana", ANAS_NEXT_PASSWORD) == [401, 401]
    assert users_in(call)["ana"]["disabled"] is True
    exported = ok(call("users", "export", "moorage.yml", "--to", "users.htpasswd"))
    assert "Exported 1 user to users.htpasswd." in exported.stderr
    assert "Left out (disabled): ana." in exported.stderr
    text = (call.home / "users.htpasswd").read_text()
    assert [line.partition(":")[0] for line in text.splitlines()] == ["ci"]
    assert (call.home / "users.htpasswd").stat().st_mode & 0o777 == 0o600
    ok(call("users", "enable", "moorage.yml", "ana", "--yes"))
    assert statuses(call, machines, "ana", ANAS_NEXT_PASSWORD) == [200, 200]

    ok(call("users", "remove", "moorage.yml", "ana", "--yes"))
    assert statuses(call, machines, "ana", ANAS_NEXT_PASSWORD) == [401, 401]
    assert set(users_in(call)) == {"ci"}
    assert ok(call("plan", "moorage.yml", "--detailed-exitcode")).code == 0
    assert call("users", "remove", "moorage.yml", "ci", "--yes").code == 2

    # With a terminal or not, a password that is made goes where it was asked for and nowhere else.
    unseen = call("users", "add", "moorage.yml", "bot", "--yes")
    assert unseen.code == 2
    assert "No destination for the generated password" in unseen.stderr
    ok(call("users", "add", "moorage.yml", "bot", "--yes", "--passwords-to", "bot"))
    assert statuses(call, machines, "bot", made(call, "bot")) == [200, 200]
    _unplugged_server(call, *machines)


def test_without_an_answers_file(call: CommandLine, machines: Sequence[LabServer]) -> None:
    here, there = (("--server", f"root@{machine.address}") for machine in machines)
    one = (*there, "--key", str(machines[1].key))
    unasked = call("users", "list", *one, "--json")
    assert unasked.code == 2
    assert unasked.json["error"]["servers"] == [f"root@{machines[0].address}"]

    one = (*one, *here)
    listed = ok(call("users", "list", *one, "--json")).json
    assert [user["name"] for user in listed["users"]] == ["ci"]
    assert [server["status"] for server in listed["servers"]] == ["up_to_date", "up_to_date"]
    assert statuses(call, machines[:1], "ci", PASSWORD) == [200]
    seen = ok(call("users", "list", *one, "--last-seen", "--json")).json["users"][0]
    assert seen["last_seen"].endswith("Z")
    assert seen["last_push"] is None

    ok(call("users", "add", *one, "bot", "--yes", "--passwords-to", "bot"))
    password = made(call, "bot")
    assert statuses(call, machines, "bot", password) == [200, 200]
    planned = ok(call("plan", "moorage.yml", "--detailed-exitcode"))
    assert "The user bot is not in the answers and is kept" in planned.stdout

    removed = ok(call("users", "passwd", *one, "ci", "--yes", "--passwords-to", "ci"))
    assert "applying it undoes this change" in removed.stderr
    assert statuses(call, machines, "ci", made(call, "ci")) == [200, 200]
    assert statuses(call, machines, "ci", PASSWORD) == [401, 401]


def test_users_are_imported(call: CommandLine, machines: Sequence[LabServer]) -> None:
    _users_of_an_older_product(call, machines)
    _unusual_names(call, machines)
    _ten_thousand(call, machines)


def _ten_thousand(call: CommandLine, machines: Sequence[LabServer]) -> None:
    chance = random.Random(7)
    names = [f"user{number:05d}" for number in range(10_000)]
    sample = chance.sample(names, 12)
    passwords = {name: f"{chance.getrandbits(80):020x}" for name in sample}
    # Hashing takes half a millisecond; the others share a password.
    values = dict.fromkeys(names, apr_md5_crypt.hash(ANAS_PASSWORD))
    values |= {name: apr_md5_crypt.hash(secret) for name, secret in passwords.items()}
    lines = [f"{name}:{value}" for name, value in values.items()]
    for name in sample:
        value = lines[int(name[4:])].partition(":")[2]
        call.operator.leaks.add(passwords[name], label=f"the password of {name}")
        call.operator.leaks.add(
            value, [*HASHES_MAY_BE, OLDER_PRODUCT, f"{call.home}/old.htpasswd"],
            label=f"the hash of {name}",
        )  # fmt: skip
    broken = ["plain:in-the-clear", "sha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", lines[3], "nonsense"]
    (call.home / "old.htpasswd").write_text("\n".join([*lines, *broken]) + "\n")

    imported = ok(call(
        "users", "import", "moorage.yml", "old.htpasswd", "--access", "pull", "--yes", "--json"
    )).json  # fmt: skip

    assert len(imported["added"]) == 10_000
    assert [each["line"] for each in imported["rejected"]] == [10_001, 10_002, 10_003, 10_004]
    # The file only notes what it is based on: thousands of users would be no answers any more.
    assert imported["saved"] == "moorage.yml"
    assert "user00000" not in (call.home / "moorage.yml").read_text()
    for machine in machines:
        machine.run("nginx -t")
    for name in sample:
        assert statuses(call, machines, name, passwords[name]) == [200, 200]
        assert statuses(call, machines, name, "wrong") == [401, 401]
    assert ok(call("plan", "moorage.yml", "--detailed-exitcode")).code == 0
    # The registry goes on working with them: another change, and a restart of nginx.
    ok(call("users", "remove", "moorage.yml", sample[0], "--yes"))
    machines[0].run("systemctl restart nginx")
    assert statuses(call, machines, sample[0], passwords[sample[0]]) == [401, 401]
    assert statuses(call, machines, sample[1], passwords[sample[1]]) == [200, 200]


def _unusual_names(call: CommandLine, machines: Sequence[LabServer]) -> None:
    """They log in and can be changed."""
    names = ["_ci", "robot$ci", r"DOMAIN\bob", r"DOMAIN\tom", f"robot${'x' * 50}\\y"]
    value = apr_md5_crypt.hash(ANAS_PASSWORD)
    call.operator.leaks.add(
        value, [*HASHES_MAY_BE, f"{call.home}/old.htpasswd"], label="the hash of the users"
    )
    (call.home / "old.htpasswd").write_text("".join(f"{name}:{value}\n" for name in names))

    ok(call("users", "import", "moorage.yml", "old.htpasswd", "--access", "pull", "--yes"))

    for name in names:
        assert statuses(call, machines, name, ANAS_PASSWORD) == [200, 200]
    listed = ok(call("users", "list", "moorage.yml", "--last-seen", "--json")).json["users"]
    seen = {each["name"]: each for each in listed}
    assert all(seen[name]["access"] == "pull" for name in names)
    assert all(seen[name]["last_seen"] for name in names), seen
    ok(call("users", "disable", "moorage.yml", r"DOMAIN\bob", "--yes"))
    assert statuses(call, machines, r"DOMAIN\bob", ANAS_PASSWORD) == [401, 401]
    assert statuses(call, machines, r"DOMAIN\tom", ANAS_PASSWORD) == [200, 200]
    ok(call("users", "remove", "moorage.yml", "robot$ci", "--yes"))
    assert statuses(call, machines, "robot$ci", ANAS_PASSWORD) == [401, 401]


def _users_of_an_older_product(call: CommandLine, machines: Sequence[LabServer]) -> None:
    value = apr_md5_crypt.hash(ANAS_PASSWORD)
    call.operator.leaks.add(value, [*HASHES_MAY_BE, OLDER_PRODUCT], label="the hash of old")
    machines[1].write_file(OLDER_PRODUCT, f"old:{value}\n", mode=0o640)

    adopted = ok(call(
        "users", "import", "moorage.yml", "--from-server-file", "--access", "push", "--yes"
    ))  # fmt: skip

    assert f"Reading {OLDER_PRODUCT} on {machines[1].address}." in adopted.stderr
    assert statuses(call, machines, "old", ANAS_PASSWORD) == [200, 200]


def _unplugged_server(call: CommandLine, here: LabServer, cut: LabServer) -> None:
    machines = (here, cut)
    add = ("users", "add", "moorage.yml", "ana", "--password", "env:ANA_PW", "--yes")
    cut.cut()

    refused = call(*add)
    assert refused.code == 4
    assert cut.address in refused.stderr
    assert "--without-unreached" in refused.stderr
    assert call.operator.status(here, user="ana", password=ANAS_PASSWORD) == 401

    partly = call(*add, "--without-unreached")
    assert partly.code == 5, partly.stderr
    assert f"{cut.address}  outdated" in partly.stdout
    assert call.operator.status(here, user="ana", password=ANAS_PASSWORD) == 200
    listed = call("users", "list", "moorage.yml")
    assert listed.code == 4
    assert f"{cut.address}  unreachable, outdated" in listed.stdout

    cut.reconnect()
    assert call.operator.status(cut, user="ana", password=ANAS_PASSWORD) == 401
    listed = ok(call("users", "list", "moorage.yml"))
    assert f"{cut.address}  outdated" in listed.stdout
    ok(call("users", "access", "moorage.yml", "ana", "pull", "--yes"))
    assert statuses(call, machines, "ana", ANAS_PASSWORD) == [200, 200]
    standings = ok(call("users", "list", "moorage.yml", "--json")).json["servers"]
    assert [server["status"] for server in standings] == ["up_to_date", "up_to_date"]

    # Somebody edits a file on one server: nobody guesses which of the two counts.
    here.run(f"sed -i '/^ana:/d' {HASHES_MAY_BE[0]} && systemctl reload nginx")
    differ = call("users", "access", "moorage.yml", "ana", "push", "--yes")
    assert differ.code == 2
    assert "--from" in differ.stderr
    ok(call("users", "access", "moorage.yml", "ana", "push", "--yes", "--from", cut.address))
    assert statuses(call, machines, "ana", ANAS_PASSWORD) == [200, 200]
