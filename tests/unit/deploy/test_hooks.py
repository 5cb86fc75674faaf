"""Hooks: which scripts can be used, what a plan says about them, and what a run is sent."""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.answers.secrets import Secret
from moorage.deploy.plan.local_files import check_local_files
from moorage.deploy.plan.plan import Kind, Plan, ServerPlan
from moorage.deploy.plan.planning import plan_server, plan_users
from moorage.deploy.record.deployment_json import drifted
from moorage.deploy.run.hooks import LARGEST_SCRIPT, gate_seconds, read_scripts, users_hooks_seconds
from moorage.deploy.run.payload import GATE_SECONDS, Timing, payload
from moorage.desired import layout
from moorage.desired.state import Materials
from moorage.desired.users import RegistryUser, user_files
from moorage.errors import AnswersError
from moorage.servers.facts import Facts, ManagedFile, ManagedFolder, Service

SCRIPT = b"#!/bin/sh\necho it ran\n"
ALWAYS = ["after_users", "after_apply", "before_apply"]
USERS = (RegistryUser("ci", "$2y$12$hash"),)


def _answers(*hooks: dict[str, Any]) -> Answers:
    return Answers.model_validate(
        {
            "registry": {"domain": "registry.example.com"},
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            "hooks": [{"script": "a.sh", "when": ALWAYS, **hook} for hook in hooks],
        }
    )


def _materials(**scripts: bytes) -> Materials:
    return Materials(
        http_secret=Secret("http"), auth_key=Secret("key"), users=USERS,
        certificate=b"CERTIFICATE\n", certificate_key=Secret("KEY\n"), hooks=scripts,
    )  # fmt: skip


def _facts(answers: Answers, plan: ServerPlan, **files: bytes) -> Facts:
    """The facts of a server that a plan was applied to; ``files`` are hooks as they stand now."""
    there = {
        file.path: ManagedFile(file.path, file.content, file.mode, file.owner, file.group)
        for file in plan.writes
    }
    digests = {path: file.digest for path, file in there.items()}
    there |= {
        layout.hook_path(name): ManagedFile(layout.hook_path(name), content, 0o700, "root", "root")
        for name, content in files.items()
    }
    record = json.dumps({"answers": without_secrets(answers), "digests": digests}).encode()
    there[layout.DEPLOYMENT] = ManagedFile(layout.DEPLOYMENT, record, 0o600, "root", "root")
    return Facts(
        "one",
        os={"ID": "debian", "VERSION_ID": "12"},
        packages={package.name: "1" for package in plan.packages},
        accounts={"moorage": (999, 999)},
        files=there,
        folders={
            each.path: ManagedFolder(each.path, each.mode, each.owner, each.group)
            for each in plan.folders
        },
        services={
            "nginx": Service("nginx", "active", "enabled"),
            "moorage-registry@blue": Service("moorage-registry@blue", "active", "enabled"),
            "docker-registry": Service("docker-registry", "inactive", "masked"),
        },
    )


BARE = Facts("one", os={"ID": "debian", "VERSION_ID": "12"})


def _hooks(plan: ServerPlan) -> list[tuple[str, str]]:
    return [(change.subject, change.reason) for change in plan.changes if change.kind is Kind.HOOK]


def test_hooks_are_first_and_last_in_a_plan_with_their_text() -> None:
    answers = _answers({"name": "a"}, {"name": "b", "when": ["after_apply"], "on_failure": "go_on"})
    plan = plan_server(answers, _materials(a=SCRIPT, b=SCRIPT), BARE)

    assert _hooks(plan) == [
        ("a", "hooks, before the apply; a failure undoes the run"),
        ("a", "hooks, after the apply's checks; a failure undoes the run"),
        ("b", "hooks, after the apply's checks; a failure is only reported"),
    ]
    assert plan.changes[0].kind is Kind.HOOK
    assert plan.changes[-1].script == SCRIPT.decode()
    assert Plan((plan,), _materials()).summary.endswith("3 hooks run")
    kept = {file.path: file for file in plan.writes}[layout.hook_path("a")]
    assert (kept.content, kept.mode, kept.owner) == (SCRIPT, 0o700, "root")


def test_an_apply_without_changes_runs_no_hook() -> None:
    answers = _answers({"name": "a"})
    facts = _facts(answers, plan_server(answers, _materials(a=SCRIPT), BARE))
    plan = plan_server(answers, _materials(a=SCRIPT), facts)
    assert (plan.changes, plan.hooks) == ((), ())


def test_a_changed_script_is_a_change_that_touches_neither_nginx_nor_the_registry() -> None:
    answers = _answers({"name": "a"})
    facts = _facts(answers, plan_server(answers, _materials(a=SCRIPT), BARE))
    plan = plan_server(answers, _materials(a=SCRIPT + b"exit 0\n"), facts)
    assert [change.subject for change in plan.changes] == ["a", layout.hook_path("a"), "a"]
    assert "+exit 0" in plan.changes[1].diff
    assert not plan.reload_nginx
    assert not plan.touches_registry


def test_a_hook_deleted_from_the_answers_is_removed_without_a_reload() -> None:
    answers = _answers({"name": "a"})
    facts = _facts(answers, plan_server(answers, _materials(a=SCRIPT), BARE))
    plan = plan_server(_answers(), _materials(), facts)
    assert plan.removals == (layout.hook_path("a"),)
    assert not plan.reload_nginx


def test_a_run_is_sent_the_scripts_as_data() -> None:
    answers = _answers({"name": "a", "timeout": 7}, {"name": "b", "when": ["before_apply"]})
    plan = plan_server(answers, _materials(a=SCRIPT, b=b"#!/bin/sh\n\0"), BARE)
    stream = b"".join(payload(plan, "run", {}, Timing("go")))
    with tarfile.open(fileobj=io.BytesIO(stream.split(b"\n", 2)[2])) as tar:
        listed = tar.extractfile("plan/hooks")
        script = tar.extractfile("hooks/1")
        assert listed is not None
        assert script is not None
        assert listed.read().decode().splitlines() == [
            "0\tbefore_apply\t7\troll_back\ta",
            "1\tbefore_apply\t60\troll_back\tb",
            "2\tafter_apply\t7\troll_back\ta",
        ]
        assert script.read() == b"#!/bin/sh\n\0"
        assert tar.getmember("hooks/1").mode == 0o700


def test_a_change_of_users_runs_the_hooks_applied_last() -> None:
    answers = _answers({"name": "a"}, {"name": "b", "when": ["after_apply"]})
    facts = _facts(answers, plan_server(answers, _materials(a=SCRIPT, b=SCRIPT), BARE))
    more = (*USERS, RegistryUser("ana", "$2y$12$other"))

    plan = plan_users(facts, more, Secret("new"), 2)

    assert [(each.hook.name, each.moment, each.content) for each in plan.hooks] == [
        ("a", "after_users", SCRIPT)
    ]
    assert _hooks(plan) == [("a", "hooks, after the change of the users; a failure undoes the run")]
    assert plan.problems == ()
    assert users_hooks_seconds([plan, replace(plan, hooks=())]) == 65
    unchanged = plan_users(facts, USERS, Secret("new"), 2)
    assert set(user_files(USERS)) <= set(facts.files)
    assert (unchanged.changes, unchanged.hooks) == ((), ())


@pytest.mark.parametrize("now", [b"#!/bin/sh\nedited\n", None])
def test_a_change_of_users_does_not_run_unapplied_hooks(now: bytes | None) -> None:
    answers = _answers({"name": "a"})
    plan = plan_server(answers, _materials(a=SCRIPT), BARE)
    facts = _facts(answers, plan, **({} if now is None else {"a": now}))
    if now is None:
        path = layout.hook_path("a")
        facts = replace(facts, files={k: v for k, v in facts.files.items() if k != path})
    assert drifted(facts) == (layout.hook_path("a"),)
    changed = plan_users(facts, (*USERS, RegistryUser("ana", "x")), Secret("new"), 2)
    assert [problem.code for problem in changed.problems] == ["hook_changed"]


def test_servers_wait_for_each_others_hooks() -> None:
    answers = _answers({"name": "a", "timeout": 1000}, {"name": "b", "timeout": 100})
    plan = plan_server(answers, _materials(a=SCRIPT, b=SCRIPT), BARE)
    assert gate_seconds([plan, plan, plan]) == GATE_SECONDS + 1110 + 3 * 1110


def test_all_unusable_scripts_are_listed(tmp_path: Path) -> None:
    files = {
        "good": SCRIPT,
        "large": b"#!/bin/sh\n" + b"#" * LARGEST_SCRIPT,
        "plain": b"echo no\n",
        "empty": b"",
        "relative": b"#!sh\n",
        "windows": b"#!/bin/sh\r\necho no\r\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    names = [*files, "folder", "pipe", "missing"]
    answers = _answers(*({"name": name, "script": str(tmp_path / name)} for name in names))

    with pytest.raises(AnswersError) as caught:
        read_scripts(answers)

    faults = {
        problem.path[1]: problem.message.partition(f"{names[int(problem.path[1])]} ")[2]
        for problem in caught.value.problems
    }
    no_program = "has no interpreter in its first line, such as #!/bin/sh"
    assert faults == {
        1: "is larger than 1 MiB",
        2: no_program,
        3: no_program,
        4: no_program,
        5: "has Windows line endings; save it with Unix line endings",
        6: "is a directory; use a file in it",
        7: "is a pipe; save its content in a file, because Moorage reads it repeatedly",
        8: f"cannot be read: no such file or directory; {tmp_path} has no missing",
    }
    assert list(map(str, check_local_files(answers))) == list(map(str, caught.value.problems))


def test_hooks_have_unique_names() -> None:
    with pytest.raises(ValueError, match="the hook a is listed more than once"):
        _answers({"name": "a"}, {"name": "a"})
