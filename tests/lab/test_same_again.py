"""Applying the same answers again changes nothing; one changed setting changes one file."""

from __future__ import annotations

import pytest
from operator_at_work import Operator

from lab import LabServer
from moorage.deploy.plan.consequences import accepting
from moorage.deploy.plan.plan import Kind
from moorage.deploy.record.deployment_json import drifted

pytestmark = pytest.mark.ready

SNAPSHOT = (
    "find /etc/moorage /etc/nginx /etc/systemd/system /var/lib/moorage/registry "
    "-printf '%p %i %T@ %C@ %m %u %g\\n' | sort; "
    "systemctl show -p MainPID,ActiveEnterTimestamp nginx 'moorage-registry@*' ssh"
)


def test_the_same_apply_again_touches_nothing(operator: Operator, server: LabServer) -> None:
    server.run("echo 'LogLevel VERBOSE' > /etc/ssh/sshd_config.d/verbose.conf")
    server.run("systemctl restart ssh")
    server.wait_until_up()
    answers = operator.answers([server])
    operator.install(answers)
    before = server.run(SNAPSHOT).stdout
    mark = server.run("date '+%Y-%m-%d %H:%M:%S'").stdout.strip()

    outcome = operator.apply(answers)

    assert not outcome.plan.has_changes
    assert outcome.plan.summary == "1 server: nothing to change"
    assert server.run(SNAPSHOT).stdout == before
    journal = server.run(["journalctl", "-t", "sshd", "--since", mark, "-o", "cat"]).stdout
    assert journal.count("Starting session: command") <= 3, journal


@pytest.mark.deployed
def test_one_changed_setting_changes_one_file(operator: Operator, server: LabServer) -> None:
    registry = {"settings": {"log": {"level": "debug"}}}
    answers = operator.answers([server], registry={"domain": "registry.example.test", **registry})
    others = (
        "find /etc/moorage /etc/nginx /etc/systemd/system -type f "
        "-not -path '*/registry/green/*' -not -name upstream.conf -not -name deployment.json "
        "-printf '%p %i %T@\\n' | sort"
    )
    before = server.run(others).stdout

    outcome = operator.apply(answers)

    files = [change for change in outcome.plan.servers[0].changes if change.kind is Kind.FILE]
    assert [change.subject for change in files] == ["/etc/moorage/registry/green/config.yml"]
    changed = [line for line in files[0].diff.splitlines() if line[:1] in "+-"][2:]
    assert changed == ["-  level: info", "+  level: debug"]
    assert outcome.report.is_good
    assert server.run(others).stdout == before
    assert "level: debug" in server.read_file("/etc/moorage/registry/green/config.yml")
    states = server.run(
        "systemctl is-active moorage-registry@blue moorage-registry@green || true"
    ).stdout.split()
    assert states == ["inactive", "active"]
    assert operator.status(server) == 200
    with operator.open(answers) as deployment:
        assert drifted(deployment.probe()[0]) == ()


@pytest.mark.deployed
def test_a_file_edited_by_hand_is_drift_and_restored(operator: Operator, server: LabServer) -> None:
    answers = operator.answers([server])
    server.run(
        "sed -i 's/client_max_body_size 0/client_max_body_size 1m/' /etc/nginx/conf.d/moorage.conf"
    )

    outcome = operator.apply(answers)

    [change] = [change for change in outcome.plan.servers[0].changes if change.kind is Kind.FILE]
    assert change.subject == "/etc/nginx/conf.d/moorage.conf"
    assert change.drift
    assert "-    client_max_body_size 1m;" in change.diff
    assert outcome.report.is_good
    assert "client_max_body_size 1m" not in server.read_file("/etc/nginx/conf.d/moorage.conf")


@pytest.mark.deployed
def test_a_file_edited_after_the_plan_stops_the_run(operator: Operator, server: LabServer) -> None:
    answers = operator.answers(
        [server], credentials={"users": [{"name": "ana", "password": {"generate": True}}]}
    )
    with operator.open(answers) as deployment:
        plan = deployment.plan()
        server.run("echo '# mine' >> /etc/nginx/moorage/access.map")
        report = deployment.apply(plan, accepting(plan.consequences))
    assert report.servers[0].status == "failed"
    assert "/etc/nginx/moorage/access.map was changed" in report.servers[0].message
    assert operator.status(server) == 200
