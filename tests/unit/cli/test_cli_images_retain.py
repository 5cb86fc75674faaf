"""`moorage images retain`: the tags that the rules remove, and why the others stay."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from calls import Moorage, write_answers
from fake_server import FakeServers, deploy, no_answer
from stored_registry import StoredRegistry

from moorage.deploy.users.last_seen import utc
from moorage.desired import layout
from moorage.images.activity import NEVER, Index

ONE = "one.example.test"
FOLDER = "/srv/registry"
DAY = 24 * 3600
RULES = """\
retention:
  - repositories: [team-a/*]
    keep: {last: 1, tags: ["v*"], pushed_within: 30d, pulled_within: 90d}
"""


@pytest.fixture
def registry(tmp_path: Path) -> StoredRegistry:
    """A registry with five tags for which there is a rule, and one for which there is none."""
    registry = StoredRegistry(tmp_path / "images")
    now = time.time()
    for number, (name, days) in enumerate(
        {"old": 200, "pulled": 200, "v1": 200, "new": 10, "latest": 1}.items()
    ):
        registry.image("team-a/app", [registry.blob("team-a/app", b"x" * 1000 * number)], name)
        path = f"repositories/team-a/app/_manifests/tags/{name}/current/link"
        registry.write(path, (registry.v2 / path).read_bytes(), at=now - days * DAY)
    registry.image("other", [registry.blob("other", b"other")], "old")
    return registry


@pytest.fixture
def file(home: Path, servers: FakeServers, registry: StoredRegistry) -> Path:
    """Answers with a rule for one deployed server, which knows all pulls of the last year."""
    file = write_answers(home / "one.yml", [ONE])
    storage = f"storage: {{driver: filesystem, filesystem: {{path: {FOLDER}}}}}\n"
    file.write_text(file.read_text() + storage + RULES)
    server = servers[ONE]
    deploy(server, file)
    server.images = registry.root
    server.files[layout.NGINX_SITE] = b"$moorage_is_held"
    server.files[layout.config_path("blue")] = b"storage:\n  filesystem:\n"
    now = int(time.time())
    server.activity = Index()
    server.activity.covers_since = now - 365 * DAY
    server.activity.images["team-a/app", "pulled"] = [NEVER, (now - 5 * DAY, "ci"), NEVER]
    return file


def _removed(moorage: Moorage, *words: object) -> set[str]:
    plan = moorage("images", "retain", *map(str, words), "--yes", "--json").json["plan"]
    return {f"{each['repository']}:{each['tag']}" for each in plan["tags"]}


def test_what_goes_and_what_stays_and_why(
    moorage: Moorage, file: Path, registry: StoredRegistry
) -> None:
    outcome = moorage("images", "retain", str(file), "--yes")
    assert outcome.code == 0
    shown = [line.split()[0] for line in outcome.stderr.splitlines() if ":" in line.split(" ")[0]]
    assert "team-a/app:old" in shown
    assert "team-a/*: keep the last 1" not in outcome.stderr
    for text in (
        "team-a/*: keep the last image or v* or what was pushed within 30d or what was pulled",
        "1 tag goes",
        "1 tag matches a pattern",
        "1 tag is among the images pushed last",
        "1 tag was pushed lately",
        "1 tag was pulled lately",
        "1 tag stays: no rule is for their repositories",
        "1 tag to remove; 1 manifest can no longer be pulled then.",
    ):
        assert text in outcome.stderr


def test_json(moorage: Moorage, file: Path, servers: FakeServers) -> None:
    value = moorage("images", "retain", str(file), "--yes", "--json").json
    plan = value["plan"]
    [tag] = plan["tags"]
    assert (tag["repository"], tag["tag"], tag["rule"]) == ("team-a/app", "old", 0)
    assert tag["digest"].startswith("sha256:")
    assert plan["bytes"] > 0
    [rule] = plan["rules"]
    assert rule["removed"] == 1
    assert rule["kept"] == {"matches": 1, "one_of_last": 1, "pushed": 1, "pulled": 1}
    assert plan["without_rule"] == 1
    assert value["status"] == "done"
    assert servers[ONE].runs == 1


def test_pulls_not_known_for_the_whole_period_keep_everything(
    moorage: Moorage, file: Path, servers: FakeServers
) -> None:
    servers[ONE].activity.covers_since = int(time.time()) - 89 * DAY
    outcome = moorage("images", "retain", str(file), "--yes")
    assert outcome.code == 0
    assert "No tag goes." in outcome.stderr
    assert "because its pulls are not known for long enough" in outcome.stderr
    assert servers[ONE].runs == 0


def test_without_the_file_the_rules_that_were_applied_count(moorage: Moorage, file: Path) -> None:
    assert _removed(moorage, "--server", f"root@{ONE}") == {"team-a/app:old"}


def test_it_asks(moorage: Moorage, file: Path, servers: FakeServers) -> None:
    outcome = moorage("images", "retain", str(file))
    assert outcome.code == 2
    assert "--yes" in outcome.stderr
    assert servers[ONE].runs == 0


@pytest.mark.parametrize(
    "words", [("retain",), ("delete", "other:old"), ("collect", "--untagged-now"), ("restore",)]
)
def test_a_dry_run_shows_the_plan_and_changes_nothing(
    moorage: Moorage, file: Path, servers: FakeServers, registry: StoredRegistry,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    registry.blob("other", b"orphan")
    for path in registry.v2.glob("blobs/sha256/*/*/data"):
        os.utime(path, (1, 1))
    entry = json.dumps(["repositories/gone/_manifests/tags/v1", "", 0])
    servers[ONE].trash = f"run1.000\tchecked\t{int(time.time())}\n0\n{entry}\n\n".encode()
    command, *names = words
    options = ("--young", "0s", "--purge") if command == "collect" else ()
    call = ("images", command, str(file), *names, *options)
    refused = moorage(*call)
    assert refused.code == 2
    assert "--dry-run" in refused.stderr
    shown = moorage(*call, "--dry-run")
    assert shown.code == 3, shown.stderr
    assert "Nothing was changed, because of --dry-run." in shown.stderr
    value = moorage(*call, "--dry-run", "--yes", "--json").json
    assert value.keys() == {"exit_code", "plan"}
    assert value["exit_code"] == 3
    assert servers[ONE].runs == 0


@pytest.mark.parametrize(
    "words", [("images", "list"), ("images", "show"), ("images", "trash"), ("images", "delete"),
              ("images", "retain"), ("users", "list"), ("users", "remove"), ("history",),
              ("activity",), ("status",), ("logs",)],
)  # fmt: skip
def test_a_file_and_servers_are_one_too_many(
    moorage: Moorage, file: Path, servers: FakeServers, words: tuple[str, ...]
) -> None:
    outcome = moorage(*words, str(file), "--server", f"root@{ONE}")
    assert outcome.code == 2
    assert "FILE" in outcome.stderr
    assert "--server" in outcome.stderr
    assert not servers.opened


def test_without_rules_it_says_so(moorage: Moorage, file: Path) -> None:
    file.write_text(file.read_text().replace(RULES, ""))
    outcome = moorage("images", "retain", str(file), "--yes")
    assert outcome.code == 1
    assert "no retention rules" in outcome.stderr


SCHEDULE = "collect: {when: daily}\n"


def _consequence(moorage: Moorage, file: Path) -> dict[str, object] | None:
    found = moorage("plan", str(file), "--json").json["consequences"]
    about = [each for each in found if each["code"].startswith("retention_")]
    assert len(about) <= 1
    return about[0] if about else None


def test_a_plan_says_what_new_rules_will_remove(
    moorage: Moorage, file: Path, servers: FakeServers
) -> None:
    record = servers[ONE].files[layout.DEPLOYMENT]
    with_rules = file.read_text()
    assert _consequence(moorage, file) is None  # They are in force already.
    file.write_text(with_rules + SCHEDULE)
    found = _consequence(moorage, file)
    assert found is not None
    assert (found["code"], found["severity"]) == ("retention_removes", "destructive")
    assert "(daily) will move 1 tag of 1 repository to the trash: team-a/app (1)." in str(
        found["text"]
    )
    file.write_text(with_rules.replace(RULES, ""))
    deploy(servers[ONE], file)
    servers[ONE].files[layout.NGINX_SITE] = b"$moorage_is_held"
    file.write_text(with_rules)
    found = _consequence(moorage, file)
    assert found is not None
    assert (found["severity"], "'moorage images retain'" in str(found["text"])) == ("notice", True)
    assert record != servers[ONE].files[layout.DEPLOYMENT]


def test_a_plan_says_that_it_cannot_tell(
    moorage: Moorage, file: Path, servers: FakeServers
) -> None:
    servers[ONE].images_fault = no_answer(ONE)
    file.write_text(file.read_text() + SCHEDULE)
    found = _consequence(moorage, file)
    assert found is not None
    assert (found["code"], found["severity"]) == ("retention_unknown", "destructive")
    assert "It is not known what the retention rules will remove: " in str(found["text"])


def test_images_that_are_not_served_yet_cannot_be_judged(
    moorage: Moorage, file: Path, servers: FakeServers
) -> None:
    """Reading them needs an apply, so the reason does not send there."""
    file.write_text(file.read_text().replace(FOLDER, "/srv/images") + SCHEDULE)
    found = _consequence(moorage, file)
    assert found is not None
    assert (found["code"], found["needs"]) == ("retention_unknown", "--accept-retention")
    assert "images in /srv/images can only be read once they are served" in str(found["text"])
    assert "Apply" not in str(found["text"])


def test_a_schedule_that_removes_tags_has_to_be_accepted(
    moorage: Moorage, file: Path, servers: FakeServers
) -> None:
    file.write_text(file.read_text() + SCHEDULE)
    found = _consequence(moorage, file)
    assert found is not None
    assert found["needs"] == "--accept-retention"
    apply = ("apply", str(file), "--yes", "--no-verify", "--json")
    refused = moorage(*apply)
    assert refused.code == 1
    assert "retention_not_accepted" in refused.stdout
    assert servers[ONE].runs == 0
    assert moorage(*apply, "--accept-retention").code == 0
    assert servers[ONE].runs == 1
    # What is in force needs no more acceptance.
    assert moorage(*apply).code == 0


@pytest.mark.parametrize(
    ("status", "prints", "says"),
    [
        (1, b"Failed to parse calendar specification: Invalid argument\n", "does not accept"),
        (0, b"Original form: daily\n  Next elapse: never\n", "never comes"),
    ],
)
def test_a_plan_asks_systemd_about_a_new_schedule(
    moorage: Moorage, file: Path, servers: FakeServers, status: int, prints: bytes, says: str
) -> None:
    server = servers[ONE]
    moorage("plan", str(file))
    assert server.calendars == []
    file.write_text(file.read_text() + SCHEDULE)
    assert moorage("plan", str(file)).code != 1
    assert server.calendars == ["daily"]
    server.calendar = (status, prints)
    plan = moorage("plan", str(file), "--json")
    [problem] = plan.json["servers"][0]["problems"]
    assert problem["code"] == "schedule_refused"
    assert says in problem["message"]
    assert moorage("apply", str(file), "--yes", "--accept-retention").code == 1
    assert server.runs == 0


@pytest.mark.parametrize("command", ["delete", "restore"])
def test_a_name_whose_tag_is_missing_does_not_mean_the_whole_repository(
    moorage: Moorage, file: Path, servers: FakeServers, command: str
) -> None:
    entry = json.dumps(["repositories/other/_manifests", "", 0])
    servers[ONE].trash = f"run0001.000\tchecked\t{int(time.time())}\n0\n{entry}\n\n".encode()
    outcome = moorage("images", command, str(file), "other:", "--yes")
    assert outcome.code == 1
    assert "ends with a colon, and no tag follows" in outcome.stderr
    assert servers[ONE].runs == 0


def test_a_collection_deletes_what_was_in_the_trash_for_longer_even_if_nothing_is_new(
    moorage: Moorage, file: Path, servers: FakeServers
) -> None:
    file.write_text(f"{file.read_text()}collect: {{trash: 2d}}\n")
    server = servers[ONE]
    server.log = "@number\tpurged\t1000\n"
    entry = json.dumps([f"blobs/sha256/00/{'0' * 64}/data", f"sha256:{'0' * 64}", 1000])
    for days, is_due in ((1, False), (3, True)):
        began = int(time.time()) - days * 86400
        server.trash = f"run0001.000\tchecked\t{began}\n0\n{entry}\n\n".encode()
        outcome = moorage("images", "collect", str(file), "--yes")
        assert outcome.code == 0, outcome.stderr
        assert ("is deleted with this" in outcome.stderr) is is_due
        assert bool(outcome.stdout) is is_due  # a run's result
        kept_until = moorage("images", "trash", str(file), "--json").json["runs"][0]["kept_until"]
        assert kept_until == utc(began + 2 * 86400)


def test_a_collection_says_what_is_too_young(
    moorage: Moorage, file: Path, registry: StoredRegistry
) -> None:
    registry.blob("other", b"orphan")
    collect = ("images", "collect", str(file), "--untagged-now", "--dry-run")
    outcome = moorage(*collect)
    assert outcome.code == 0
    assert "Nothing to collect." in outcome.stderr
    assert "Too young: 1 blob, 6 B, that nothing needs" in outcome.stderr
    assert "written within 1 day. All of it can be collected from 2" in outcome.stderr
    waiting = moorage(*collect, "--json").json["plan"]["waiting"]
    assert (waiting["blobs"], waiting["bytes"]) == (1, 6)
    assert waiting["until"].endswith("Z")
    waiting = moorage("images", "collect", str(file), "--dry-run", "--json").json["plan"]["waiting"]
    assert waiting["blobs"] == 1


def test_a_collection_by_hand_keeps_what_the_answers_say(
    moorage: Moorage, file: Path, servers: FakeServers
) -> None:
    file.write_text(f"{file.read_text()}collect: {{trash: 14d, grace: 5m, young: 2h}}\n")
    entry = '["blobs/sha256/00/00/data", "sha256:00", 2048]'
    servers[ONE].trash = f"run1.000\tchecked\t{time.time()}\n0\n{entry}\n\n".encode()
    outcome = moorage("images", "collect", str(file), "--yes")
    assert outcome.code == 0
    assert "is deleted after 14 days" in outcome.stderr
    for options, grace, young in ((), 300.0, 7200.0), (("--grace", "0s"), 0.0, 7200.0):
        plan = moorage("images", "collect", str(file), *options, "--yes", "--json").json["plan"]
        assert (plan["grace"], plan["young"]) == (grace, young)


def test_the_trash_says_what_was_deleted_and_where_its_data_is(
    moorage: Moorage, file: Path, servers: FakeServers
) -> None:
    entries = [
        ("repositories/team-b/web/_manifests", "", 0),
        ("repositories/team-a/app/_manifests/tags/1.1", "", 71),
    ]
    listed = "\n".join(map(json.dumps, entries))
    deleted = f"run-1\tchecked\t{time.time() - 150:.0f}\n0/tags/latest/1.0 1\n{listed}\n\n"
    servers[ONE].trash = deleted.encode()

    text = moorage("images", "trash", str(file)).stdout
    assert "2 min ago: deleted 1 repository with 2 tags, 1 tag, kept until" in text
    assert text.index("team-b/web  the whole") < text.index("team-b/web:latest")
    assert text.index("team-b/web:latest") < text.index("team-a/app:1.1")
    assert "stays in the store until a collection" in text

    for name, near in (("team-b/wbe", "team-b/web"), ("app:1.1", "team-a/app:1.1")):
        refused = moorage("images", "restore", str(file), name, "--yes")
        assert refused.code == 1
        assert f"Did you mean {near}? 'moorage images trash' shows" in refused.stderr
