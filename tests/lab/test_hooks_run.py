"""Hooks on real servers: when they run, what they see, and what their failure does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from operator_at_work import DOMAIN, Operator, Outcome

from lab import LabServer
from lab.services import ObjectStore
from moorage.answers.model import Answers
from moorage.answers.secrets import MASK
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import Event, LogLine, RunEnded, Warned
from moorage.deploy.run.report import ApplyReport
from moorage.deploy.users.change import change_users, plan_change, read_users
from moorage.desired.users import RegistryUser
from moorage.errors import ServersFailed

pytestmark = pytest.mark.ready

HOST_LOG = "/root/hooks.log"
NOTE = f"""#!/bin/sh
{{
    echo "$MOORAGE_EVENT $MOORAGE_DOMAIN $MOORAGE_SERVER $MOORAGE_RUN"
    pwd; umask; env | cut -d = -f 1
    readlink /proc/self/fd/0; ls /proc/self/fd; ls -l /etc/moorage/deployment.json
}} >>{HOST_LOG} 2>&1
echo "noted $MOORAGE_EVENT"
"""


class Scripts:
    """Writes hooks for answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hook(self, name: str, text: str, *when: str, **more: Any) -> dict[str, Any]:
        """Return a hook with this script."""
        path = self._folder / name
        path.write_text(text)
        return {"name": name, "script": str(path), "when": list(when), **more}


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    """Hooks with their scripts in a folder of their own."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    return Scripts(folder)


def _answers(
    operator: Operator, server: LabServer, *hooks: dict[str, Any], level: str = "info"
) -> Answers:
    registry = {"domain": DOMAIN, "settings": {"log": {"level": level}}}
    return operator.answers([server], registry=registry, hooks=list(hooks))


def _add_user(
    operator: Operator, answers: Answers, name: str, events: list[Event] | None = None
) -> ApplyReport:
    """Add a user whose password hash nobody knows the password of."""
    with operator.open(answers, (events if events is not None else []).append) as deployment:
        read = read_users(deployment)
        users = [*read.users, RegistryUser(name, read.users[0].hash)]
        return change_users(deployment, plan_change(read, users))


def _files(server: LabServer) -> str:
    return server.run(
        "find /etc/moorage /etc/nginx -type f -not -name deployment.json "
        "-exec sha256sum {} + | sort"
    ).stdout


def _lines(outcome: Outcome) -> list[str]:
    return outcome.log.splitlines()


def test_hooks_run_at_the_right_time_with_their_environment(
    operator: Operator, server: LabServer, scripts: Scripts
) -> None:
    hook = scripts.hook("note", NOTE, "before_apply", "after_apply", "after_users")
    answers = _answers(operator, server, hook)

    outcome = operator.install(answers)

    run_id = outcome.report.servers[0].run_id
    first, second = server.read_file(HOST_LOG).split("before_apply ")[1].split("after_apply ")
    for part in (first, second):
        lines = part.splitlines()
        assert lines[0] == f"{DOMAIN} {server.address} {run_id}"
        assert lines[1:3] == [f"/var/lib/moorage/runs/{run_id}", "0022"]
        names = set(lines[3 : lines.index("/dev/null")]) - {"PWD", "_", "SHLVL", "OLDPWD"}
        assert names == {
            "MOORAGE_EVENT", "MOORAGE_DOMAIN", "MOORAGE_SERVER", "MOORAGE_RUN",
            "PATH", "HOME", "LC_ALL",
        }  # fmt: skip
        # No lock of the run's is open in it.
        assert not {"8", "9"} & set(lines[lines.index("/dev/null") :])
        # Before: nothing is there yet. After: not recorded yet, so it can still be undone.
        assert "cannot access '/etc/moorage/deployment.json'" in part
    assert outcome.steps.index("hooks-before") < outcome.steps.index("back-up")
    assert outcome.steps.index("check") < outcome.steps.index("hooks-after")
    assert [line for line in _lines(outcome) if "noted" in line] == [
        "[note] noted before_apply",
        "[note] noted after_apply",
    ]
    kept = server.run(["stat", "-c", "%a %U", "/etc/moorage/hooks/note"]).stdout.strip()
    assert kept == "700 root"
    assert not server.run(f"ls /var/lib/moorage/runs/{run_id}/hooks", check=False).stdout

    # The same answers again: no run, so no hook.
    assert not operator.plan(answers).has_changes
    before = server.read_file(HOST_LOG)
    operator.install(answers)
    assert server.read_file(HOST_LOG) == before

    # A change of the users needs no script on this machine.
    Path(hook["script"]).unlink()
    events: list[Event] = []
    report = _add_user(operator, answers, "ana", events)
    assert report.is_good
    assert f"after_users {DOMAIN} {server.address} {report.servers[0].run_id}" in server.read_file(
        HOST_LOG
    )
    assert any(
        isinstance(event, LogLine) and event.text == "[note] noted after_users" for event in events
    )


@pytest.mark.deployed
def test_a_failing_hook_undoes_the_apply(
    operator: Operator, server: LabServer, scripts: Scripts
) -> None:
    before = _files(server)
    fails = scripts.hook("fails", "#!/bin/sh\necho no good\nexit 3\n", "after_apply")

    outcome = operator.apply(_answers(operator, server, fails, level="debug"))

    [report] = outcome.report.servers
    assert (report.status, report.step) == ("failed", "hooks-after")
    assert report.message == "the hook fails failed with status 3"
    assert "[fails] no good" in _lines(outcome)
    assert _files(server) == before
    assert operator.status(server) == 200
    active = server.run("systemctl is-active moorage-registry@blue").stdout.strip()
    assert active == "active"

    fails["when"] = ["before_apply"]
    outcome = operator.apply(_answers(operator, server, fails, level="debug"))
    assert outcome.report.servers[0].step == "hooks-before"
    assert "back-up" not in outcome.steps
    assert _files(server) == before


def test_a_hook_that_times_out_is_killed_and_reported(
    operator: Operator, server: LabServer, scripts: Scripts
) -> None:
    slow = scripts.hook(
        "slow",
        "#!/bin/sh\ntrap '' TERM\necho began\nsleep 7777 & while :; do sleep 1; done\n",
        "before_apply",
        timeout=1,
        on_failure="go_on",
    )
    quick = scripts.hook("quick", "#!/bin/sh\nexit 124\n", "after_apply", on_failure="go_on")
    broken = scripts.hook("broken", "#!/no/such/program\n", "after_apply", on_failure="go_on")
    began = time.monotonic()

    outcome = operator.apply(_answers(operator, server, slow, quick, broken))

    assert outcome.report.is_good, outcome.log
    assert time.monotonic() - began < 300
    [report] = outcome.report.servers
    assert report.warnings == (
        "the hook slow took longer than 1 s",
        "the hook quick failed with status 124",
        "the hook broken failed with status 127",
    )
    warned = [event.text for event in outcome.events if isinstance(event, Warned)]
    assert warned == list(report.warnings)
    assert "[slow] began" in _lines(outcome)
    assert not server.run("pgrep -f '^sleep 7777'", check=False).stdout
    assert operator.status(server) == 200


def test_hook_output_cannot_imitate_the_run_protocol(
    operator: Operator, server: LabServer, scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_PASSWORD", "correct-horse-battery")
    operator.leaks.add(
        "correct-horse-battery", ("/var/lib/moorage/runs/*/log", "/etc/moorage/hooks/*"),
        label="the password of ci",
    )  # fmt: skip
    operator.passwords["ci"] = "correct-horse-battery"
    text = r"""#!/bin/bash
printf '@result\tfailed\tforged\n@step\t1\tdrain\n@staged\n\e[2Jhello\n'
echo pass correct-horse-batt''ery
seq 1 1900
head -c 9000 /dev/zero | tr '\0' x
echo
# A daemon that keeps its output open.
setsid sleep 6666 &
printf '@result\tfailed\tno line end'
"""
    # The leak check looks at the script, too: the password is not in it as a whole.
    loud = scripts.hook("loud", text, "before_apply", "after_apply")
    second = scripts.hook("second", "#!/bin/sh\nyes | head -n 5000\n", "after_apply")
    answers = _answers(operator, server, loud, second)
    users = {"users": [{"name": "ci", "password": {"env": "CI_PASSWORD"}}]}
    answers = answers.model_validate({**answers.model_dump(mode="json"), "credentials": users})

    outcome = operator.install(answers)

    lines = _lines(outcome)
    assert lines.count("[loud] 1900") == 2
    assert [line for line in lines if line.startswith("[loud] ") and line[7:].isdigit()] == [
        f"[loud] {number}" for number in range(1, 1901)
    ] * 2
    assert "[loud] (line of 9000 characters omitted)" in lines
    assert "[loud] \\x1b[2Jhello" in lines
    assert "[loud] @result\tfailed\tno line end" in lines
    assert lines.count("[second] y") == 2000
    assert "[second] output truncated after 2000 lines" in lines
    assert lines.count(f"[loud] pass {MASK}") == 2
    assert sum(isinstance(event, RunEnded) for event in outcome.events) == 1
    assert not server.run("pgrep -f '^sleep 6666'", check=False).stdout


def test_a_failing_hook_undoes_a_change_of_the_users(
    operator: Operator, server: LabServer, scripts: Scripts
) -> None:
    fails = scripts.hook(
        "deny", "#!/bin/sh\n! grep -q ^bob: /etc/nginx/moorage/htpasswd\n", "after_users"
    )
    answers = _answers(operator, server, fails)
    operator.install(answers)

    assert _add_user(operator, answers, "ana").is_good
    before = _files(server)
    report = _add_user(operator, answers, "bob")

    assert report.servers[0].status == "failed"
    assert report.servers[0].message == "the hook deny failed with status 1"
    assert _files(server) == before
    assert operator.status(server) == 200
    assert operator.status(server, user="ana", password=operator.passwords["ci"]) == 200
    assert operator.status(server, user="bob", password=operator.passwords["ci"]) == 401

    # Edited on the server: it is not what was applied, so it does not run.
    server.write_file("/etc/moorage/hooks/deny", "#!/bin/sh\nexit 0\n", mode=0o700)
    with pytest.raises(ServersFailed) as caught:
        _add_user(operator, answers, "bob")
    assert "deny" in str(caught.value.errors[0])
    # The next apply shows that as drift, and puts it right.
    plan = operator.plan(answers)
    assert [change.subject for change in plan.servers[0].changes if change.drift] == [
        "/etc/moorage/hooks/deny"
    ]
    operator.install(answers)
    assert _add_user(operator, answers, "bob").servers[0].status == "failed"

    # Taken out of the answers, it is gone.
    operator.install(_answers(operator, server))
    assert not server.run("ls -A /etc/moorage/hooks").stdout
    assert _add_user(operator, answers, "bob").is_good


def test_a_run_can_be_cancelled_while_a_hook_runs(
    operator: Operator, server: LabServer, scripts: Scripts
) -> None:
    text = "#!/bin/sh\necho began\nsleep 5555\n"
    slow = scripts.hook("slow", text, "before_apply", timeout=3600)
    reached: list[Deployment] = []

    def take(event: Event) -> None:
        if isinstance(event, LogLine) and event.text == "[slow] began":
            reached[0].abort()

    began = time.monotonic()
    with operator.open(_answers(operator, server, slow), take) as deployment:
        reached.append(deployment)
        report = deployment.apply(deployment.plan())

    assert report.servers[0].status == "cancelled"
    assert time.monotonic() - began < 120
    assert not server.run("pgrep -f '^sleep 5555'", check=False).stdout
    assert "moorage" not in server.run("ls /etc/nginx/conf.d", check=False).stdout


def test_a_hook_that_fails_on_one_of_two_servers(
    operator: Operator,
    servers: Any,
    s3: ObjectStore,
    scripts: Scripts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = machines = servers(2)
    text = '#!/bin/sh\necho "$MOORAGE_EVENT" >>/root/ran\n[ ! -e /root/refuse ]\n'
    hook = scripts.hook("refuse", text, "after_users", "after_apply")
    monkeypatch.setenv("S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("S3_SECRET_KEY", s3.secret_key)
    storage = {
        "driver": "s3",
        "s3": {
            "bucket": s3.bucket, "region": s3.region, "regionendpoint": s3.endpoint,
            "secure": False, "accesskey": {"env": "S3_ACCESS_KEY"},
            "secretkey": {"env": "S3_SECRET_KEY"},
        },
    }  # fmt: skip
    answers = operator.answers(machines, storage=storage, hooks=[hook])
    operator.install(answers)
    before = [_files(machine) for machine in machines]

    # A change of the users is undone on the server whose hook was content, too.
    second.write_file("/root/refuse", "")
    report = _add_user(operator, answers, "ana")
    assert [each.status for each in report.servers] == ["undone", "failed"]
    assert first.read_file("/root/ran").splitlines()[-1] == "after_users"
    assert [_files(machine) for machine in machines] == before
    for machine in machines:
        assert operator.status(machine) == 200
        assert operator.status(machine, user="ana", password=operator.passwords["ci"]) == 401

    # An apply stops at the first server, and the second stays as it was.
    second.run("mv /root/refuse /root/content")
    first.write_file("/root/refuse", "")
    registry = {"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    changed = operator.answers(machines, storage=storage, hooks=[hook], registry=registry)
    outcome = operator.apply(changed)
    assert [each.status for each in outcome.report.servers] == ["failed", "cancelled"]
    assert [_files(machine) for machine in machines] == before
    for machine in machines:
        assert operator.status(machine) == 200
