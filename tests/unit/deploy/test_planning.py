"""Desired state minus facts, on made-up facts: what is planned, why, and what people see of it."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from typing import Any

from explained import explained

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.materials import gather
from moorage.deploy.plan.acceptance import NOTHING
from moorage.deploy.plan.consequences import accepting, find_consequences, refusals
from moorage.deploy.plan.plan import Kind, Plan, ServerPlan
from moorage.deploy.plan.planning import plan_server
from moorage.deploy.plan.platform import platform_of
from moorage.deploy.plan.programs import Target
from moorage.deploy.record.deployment_json import drifted
from moorage.deploy.record.record import record_of_apply
from moorage.deploy.record.revisions import NO_CHANGE, UNRECORDED
from moorage.deploy.run.payload import Timing, payload
from moorage.deploy.status.status import status_of
from moorage.desired import layout
from moorage.desired.build import desired
from moorage.desired.state import Materials
from moorage.desired.users import RegistryUser
from moorage.servers.facts import (
    Candidate,
    Disk,
    Draining,
    Facts,
    ImagesFolder,
    Listener,
    ManagedFile,
    ManagedFolder,
    RunRecord,
    Service,
    Store,
)

TOOLS = frozenset({"apt-get", "dpkg-query", "systemctl", "systemd-run", "flock", "ss"})
MATERIALS = Materials(
    http_secret=Secret("http-secret-value"),
    auth_key=Secret("auth-key-value"),
    users=(RegistryUser("ci", "$2y$12$hash-of-ci"),),
    certificate=b"CERTIFICATE\n",
    certificate_key=Secret("PRIVATE-KEY\n"),
)


def _answers(**registry: Any) -> Answers:
    return Answers.model_validate(
        {
            "registry": {"domain": "registry.example.com", **registry},
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        }
    )


def _bare(**more: Any) -> Facts:
    facts = Facts(
        "one",
        os={"ID": "debian", "VERSION_ID": "12"},
        systemd=True,
        tools=TOOLS,
        disks=(Disk("/", 10**11, 10**11),),
    )
    return replace(facts, **more)


def _deployed(answers: Answers) -> Facts:
    """The facts of a server that is as the answers want it."""
    facts = _bare()
    wanted = desired(answers, MATERIALS, platform_of(facts, {}), "blue")
    files = {
        file.path: ManagedFile(file.path, file.content, file.mode, file.owner, file.group)
        for file in wanted.files
    }
    record = json.dumps({"digests": {file.path: file.digest for file in wanted.files}}).encode()
    files[layout.DEPLOYMENT] = ManagedFile(layout.DEPLOYMENT, record, 0o600, "root", "root")
    return _bare(
        packages={package.name: "1" for package in wanted.packages},
        accounts={"moorage": (999, 999)},
        folders={
            each.path: ManagedFolder(each.path, each.mode, each.owner, each.group)
            for each in wanted.folders
        },
        files=files,
        services={
            "nginx": Service("nginx", "active", "enabled"),
            "moorage-registry@blue": Service("moorage-registry@blue", "active", "enabled"),
            "docker-registry": Service("docker-registry", "inactive", "masked"),
        },
        listeners=(Listener("0.0.0.0", 443, "nginx"), Listener("127.0.0.1", 5101, "registry")),
    )


def _plan(answers: Answers, facts: Facts) -> ServerPlan:
    return plan_server(answers, MATERIALS, facts)


def _subjects(plan: ServerPlan, kind: Kind) -> list[str]:
    return [change.subject for change in plan.changes if change.kind is kind]


def test_a_bare_server_needs_every_change() -> None:
    plan = _plan(_answers(), _bare())
    assert plan.is_new
    assert plan.problems == ()
    assert _subjects(plan, Kind.PACKAGE) == [
        "nginx",
        "libnginx-mod-http-js",
        "openssl",
        "python3-minimal",
        "docker-registry",
    ]
    assert _subjects(plan, Kind.SERVICE) == [
        "docker-registry: mask --now",
        "registry: start blue",
        "nginx: start",
    ]
    summary = Plan((plan,), MATERIALS).summary
    assert summary == "1 server: 5 packages, 27 files new, no files removed, 3 service actions"


def test_a_deployed_server_needs_no_change() -> None:
    plan = _plan(_answers(), _deployed(_answers()))
    assert not plan.has_changes
    assert drifted(plan.facts) == ()
    assert Plan((plan,), MATERIALS).summary == "1 server: nothing to change"


def test_a_changed_setting_is_written_for_the_other_slot() -> None:
    plan = _plan(_answers(settings={"log": {"level": "debug"}}), _deployed(_answers()))
    assert _subjects(plan, Kind.FILE) == [layout.config_path("green")]
    assert (plan.slot_from, plan.slot_to) == ("blue", "green")
    written = {file.path for file in plan.writes}
    assert written == {*layout.slot_files("green"), layout.UPSTREAM}
    assert all(b"/run/moorage-registry/green/" in file.content for file in plan.writes)
    # What somebody edited is named where they edited it.
    facts, path = _deployed(_answers()), layout.config_path("blue")
    edited = replace(facts.files[path], content=b"edited\n")
    plan = _plan(_answers(), replace(facts, files=facts.files | {path: edited}))
    assert _subjects(plan, Kind.FILE) == [path]


def test_a_server_on_ports_is_converted_by_a_switch() -> None:
    facts = _deployed(_answers())
    files = dict(facts.files)
    del files[layout.slot_env_path("blue")], files[layout.SLOT_SCRIPT]
    for path in (layout.UPSTREAM, layout.config_path("blue"), layout.UNIT):
        content = b"server 127.0.0.1:5101;\n"
        files[path] = ManagedFile(path, content, 0o644, "root", "root")
    plan = _plan(_answers(), replace(facts, files=files))
    assert (plan.slot_from, plan.slot_to) == ("blue", "green")
    written = {file.path for file in plan.writes}
    assert written >= {*layout.slot_files("green"), layout.SLOT_SCRIPT, layout.UNIT}
    assert not written & {*layout.slot_files("blue")}


def test_files_without_a_record_count_as_not_in_effect() -> None:
    facts = _deployed(_answers())
    files = {path: file for path, file in facts.files.items() if path != layout.DEPLOYMENT}
    plan = _plan(_answers(), replace(facts, files=files))
    assert _subjects(plan, Kind.FILE) == []
    assert _subjects(plan, Kind.SERVICE) == ["registry: switch blue to green", "nginx: reload"]


def test_a_stopped_registry_is_started_and_a_leftover_slot_stopped() -> None:
    facts = _deployed(_answers())
    stopped = Service("moorage-registry@blue", "inactive", "enabled")
    plan = _plan(
        _answers(), replace(facts, services={**facts.services, "moorage-registry@blue": stopped})
    )
    assert "registry: switch blue to green" in _subjects(plan, Kind.SERVICE)

    left_over = Service("moorage-registry@green", "active", "enabled")
    services = {**facts.services, left_over.name: left_over}
    plan = _plan(_answers(), replace(facts, services=services))
    assert _subjects(plan, Kind.SERVICE) == ["registry: stop green"]


def test_a_draining_slot_is_left_alone_until_it_is_needed() -> None:
    facts = _deployed(_answers())
    left = Service("moorage-registry@green", "active", "disabled")
    services = {**facts.services, left.name: left}
    facts = replace(facts, services=services, draining=(Draining("green", 1.8e9, 2),))
    unchanged = _plan(_answers(), facts)
    assert (unchanged.has_changes, unchanged.transfers_in_the_way) == (False, 0)

    changed = _answers(settings={"log": {"level": "debug"}})
    plan = _plan(changed, facts)
    assert (plan.slot_to, plan.transfers_in_the_way) == ("green", 2)
    assert "2 transfers from before the switch at 2027-01-15 08:00 UTC" in plan.notes[-1].text
    assert "waits up to 5 minutes" in plan.notes[-1].text


def test_secrets_are_masked_in_every_diff() -> None:
    for facts in (_bare(), _deployed(_answers())):
        changed = replace(
            MATERIALS,
            http_secret=Secret("another-value"),
            users=(RegistryUser("ci", "$2y$12$new"),),
        )
        plan = plan_server(_answers(), changed, facts)
        text = repr(plan) + "".join(change.diff for change in plan.changes)
        for secret in (
            "http-secret-value",
            "another-value",
            "auth-key-value",
            "PRIVATE",
            "$2y$12$",
        ):
            assert secret not in text
        assert "REGISTRY_HTTP_SECRET=********" in text


def test_a_run_in_progress_blocks_the_next_one() -> None:
    going_on = RunRecord("20260101T000000000-ab12", True, 0.0, "packages")
    [problem] = _plan(_answers(), replace(_deployed(_answers()), runs=(going_on,))).problems
    assert problem.code == "run_going_on"
    assert "packages" in problem.message
    going_on = replace(going_on, step="")
    [problem] = _plan(_answers(), replace(_deployed(_answers()), runs=(going_on,))).problems
    assert problem.message == "run 20260101T000000000-ab12 is in progress."


def test_ports_in_use_by_other_programs_are_problems() -> None:
    listeners = (Listener("0.0.0.0", 443, "apache2"), Listener("127.0.0.1", 5111, "python3"))
    [problem] = _plan(_answers(), _bare(listeners=listeners)).problems
    assert problem.code == "port_taken"
    debug = _answers(settings={"http": {"debug": {"prometheus": {"enabled": True}}}})
    problems = _plan(debug, _bare(listeners=listeners)).problems
    assert [problem.code for problem in problems] == ["port_taken", "port_taken"]
    assert "apache2" in problems[0].message


def test_the_debug_server_is_off_unless_configured() -> None:
    [config] = [file for file in _plan(_answers(), _bare()).writes if "config.yml" in file.path]
    assert b"debug" not in config.content
    plan = _plan(_answers(settings={"http": {"debug": {"prometheus": {"enabled": True}}}}), _bare())
    [config] = [file for file in plan.writes if "config.yml" in file.path]
    assert b"127.0.0.1:5111" in config.content


def test_missing_images_need_acceptance() -> None:
    facts = _deployed(_answers())
    folder, was = "/var/lib/moorage/registry", "0123456789abcdef"
    noted = {"folder": folder, "marker": was, "mount": "/var/lib/moorage", "source": "/dev/vdb"}
    record = json.loads(facts.files[layout.DEPLOYMENT].content) | {"store": noted}
    content = json.dumps(record).encode()
    files = dict(facts.files)
    files[layout.DEPLOYMENT] = ManagedFile(layout.DEPLOYMENT, content, 0o600, "root", "root")
    there = Store(folder, was, "/var/lib/moorage", "/dev/vdb", has_images=True)
    facts = replace(facts, files=files)
    assert not find_consequences(_answers(), MATERIALS, [replace(facts, store=there)])
    for now, word in (
        (replace(there, marker="", mount="/", source="/dev/vda"), "image disk is missing"),
        (replace(there, marker="fedcba9876543210", source="/dev/vdc"), "contains different images"),
        (replace(there, marker=""), "has lost its images"),
    ):
        found = find_consequences(_answers(), MATERIALS, [replace(facts, store=now)])
        [problem] = refusals(found, NOTHING)
        assert (problem.code, problem.server) == ("store_missing", facts.server)
        assert word in problem.message
        assert "--begin-empty" in problem.advice
        assert refusals(found, accepting(found)) == ()
        assert any(word in fault for fault in explained(status_of(replace(facts, store=now))))
    # Without the answers, another folder is looked at first.
    other = Store("/srv/other", "", "/", "/dev/vda", has_images=False)
    for marker, is_missing in ((was, False), ("", True)):
        images = {folder: ImagesFolder(has_images=False, marker=marker)}
        problems = explained(status_of(replace(facts, store=other, images=images)))
        assert any("image disk is missing" in each for each in problems) is is_missing


def test_a_system_without_apt_or_systemd_is_rejected() -> None:
    [problem] = _plan(_answers(), _bare(tools=frozenset({"systemctl"}), systemd=False)).problems
    assert problem.code == "unsupported_system"
    assert "apt-get" in problem.message


def test_a_system_whose_registry_is_too_old_is_rejected() -> None:
    bullseye = _bare(os={"ID": "debian", "VERSION_ID": "11"})

    [problem] = _plan(_answers(), bullseye).problems
    assert (problem.code, problem.fields) == ("package_too_old", ("registry.runtime",))
    assert "docker-registry 2.7.1" in problem.message
    assert not _plan(_answers(runtime="docker", image="registry:2.8"), bullseye).problems


def test_a_plan_promises_only_the_version_that_will_run() -> None:
    three, two = {"docker-registry": "3.0.0+ds1-1"}, {"docker-registry": "2.8.3+ds1-1"}
    candidate = {"docker-registry": Candidate("3.0.0+ds1-1")}
    for facts in (_bare(packages=three), _bare(candidates=candidate)):
        [problem] = _plan(_answers(), facts).problems
        assert (problem.code, problem.fields) == ("version_differs", ("registry.version",))
        assert "3.0.0+ds1-1, but its configuration is written for 2.8" in problem.message
        assert "version to 3.0." in problem.advice
        assert not _plan(_answers(version="3.0"), facts).problems
    assert not _plan(_answers(), _bare(packages=two, candidates=candidate)).problems
    [problem] = _plan(_answers(), _bare(packages={"docker-registry": "4.0-1"})).problems
    assert problem.code == "version_not_supported"

    # An apply changes no program.
    facts = _deployed(_answers())
    env = layout.program_path("blue")
    digest = "a" * 64
    lines = (
        f'MOORAGE_RUNTIME="package"\nMOORAGE_PROGRAM="{layout.PROGRAMS}/{digest}"\n'
        'MOORAGE_PROGRAM_VERSION="2.8.3"\nMOORAGE_PACKAGE_VERSION="2.8.3+ds1-1"\n'
    )
    file = ManagedFile(env, lines.encode(), 0o644, "root", "root")
    facts = replace(facts, packages=two, files={**facts.files, env: file})
    assert not _plan(_answers(settings={"log": {"level": "debug"}}), facts).problems
    [problem] = _plan(_answers(version="3.0"), facts).problems
    assert problem.code == "version_differs"
    assert "version to 2.8, or upgrade" in problem.advice
    upgraded = plan_server(_answers(version="3.0"), MATERIALS, facts, Target("3.0.0+ds1-1"))
    assert upgraded.problems == ()


def test_the_record_on_the_server_contains_no_secret() -> None:
    answers = _answers(settings={"log": {"level": "debug"}})
    facts = _deployed(_answers())
    plan, run = _plan(answers, facts), "20260101T000000000-ab12"
    record = record_of_apply(answers, plan, run, UNRECORDED, NO_CHANGE)
    stream = b"".join(payload(plan, run, record, Timing()))
    run_id, size, archive = stream.split(b"\n", 2)
    assert (run_id, int(size)) == (b"20260101T000000000-ab12", len(archive))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        document = json.load(tar.extractfile("plan/deployment.json"))  # type: ignore[arg-type]  # it is a file
    assert document["slot"] == "green"
    assert document["digests"][layout.config_path("blue")] == (
        facts.files[layout.config_path("blue")].digest
    )
    assert document["answers"]["credentials"]["users"][0]["password"] == {"generate": True}


def test_a_registry_with_another_name_is_not_replaced_silently() -> None:
    there = _deployed(_answers())
    record = json.loads(there.files[layout.DEPLOYMENT].content) | {"domain": "old.example.com"}
    recorded = replace(there.files[layout.DEPLOYMENT], content=json.dumps(record).encode())
    there = replace(there, files=dict(there.files) | {layout.DEPLOYMENT: recorded})
    [told] = find_consequences(_answers(), MATERIALS, [there])
    assert "old.example.com will no longer be served" in told.text


def test_a_weak_password_is_noted_in_the_plan() -> None:
    answers = Answers.model_validate(
        {
            "registry": {"domain": "registry.example.com"},
            "servers": [{"host": "one"}],
            "credentials": {
                "users": [
                    {"name": "ana", "password": {"env": "WEAK"}},
                    {"name": "ci", "password": {"env": "STRONG"}},
                ]
            },
            "ssl": {"mode": "none"},
        }
    )
    passwords = {"WEAK": Secret("password"), "STRONG": Secret("gravel-lantern-okapi")}

    gathered = gather(answers, [_bare()], lambda reference, _: passwords[reference.env])
    plan = plan_server(answers, gathered, _bare())

    assert [str(note) for note in plan.notes if note.code == "weak_password"] == [
        "The password of ana is easy to guess. Use another one, or let Moorage generate it."
    ]


def test_an_archive_without_the_image_is_a_problem_before_it_is_sent() -> None:
    answers = _answers(runtime="podman", image="registry:3.0.0", image_archive="/srv/registry.tar")
    for names, codes in (
        (("registry:3.1.1",), ["image_not_in_archive"]),
        ((), ["image_not_in_archive"]),
        (("docker.io/library/registry:3.0.0",), []),
        (None, []),
    ):
        materials = replace(MATERIALS, image_archive_digest="d", image_archive_names=names)
        problems = plan_server(answers, materials, _bare()).problems
        assert [each.code for each in problems] == codes
        assert all("not registry:3.0.0" in each.message for each in problems)
    # It is there, and stays.
    deployed = plan_server(answers, materials, _deployed(answers))
    assert not deployed.load_image or deployed.problems == ()
