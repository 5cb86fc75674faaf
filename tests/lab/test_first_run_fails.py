"""A first run that fails leaves nothing but packages, and the next one knows who added what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from explained import explained
from operator_at_work import Operator

from lab import LabServer
from moorage.answers.model import Answers
from moorage.deploy.status.status import status_of

PACKAGED = "nginx docker-registry"


def _answers(operator: Operator, server: LabServer, script: Path) -> Answers:
    hook = {
        "name": "late",
        "script": str(script),
        "when": ["after_apply"],
        "on_failure": "roll_back",
    }
    return operator.answers([server], hooks=[hook])


def _look(server: LabServer) -> dict[str, set[str]]:
    """What a first run could leave behind."""
    commands = {
        "enabled": "systemctl list-unit-files --no-legend --state=enabled,masked |"
        " awk '{print $1, $2}'",
        "running": "systemctl list-units --no-legend --plain --state=active"
        " --type=service,socket,timer,path | awk '{print $1}' |"
        " grep -v '^user\\|^session\\|^apt-'",
        # The package brings an account, and stays.
        "accounts": "cut -d : -f 1 /etc/passwd /etc/group | grep -vx docker-registry",
        "ports": "ss -Hltn | awk '{print $4}'",
        "ours": "ls -d /etc/moorage /etc/nginx/moorage /etc/nginx/conf.d/moorage*"
        " /etc/systemd/system/moorage* /etc/systemd/system/nginx.service.d"
        " /var/lib/moorage/registry /run/moorage* 2>/dev/null || true",
    }
    return {
        what: {
            line for line in server.run(command).stdout.splitlines() if "moorage-run" not in line
        }
        for what, command in commands.items()
    }


@pytest.mark.parametrize("has_nginx", [False, True], ids=["bare", "nginx is stopped"])
def test_only_packages_remain(
    has_nginx: bool, operator: Operator, server: LabServer, tmp_path: Path
) -> None:
    if has_nginx:
        server.run(f"apt-get -q update && apt-get -qy --no-install-recommends install {PACKAGED}")
        server.run(f"systemctl disable -q --now {PACKAGED}")
    before = _look(server)
    script = tmp_path / "late.sh"
    script.write_text("#!/bin/sh\nexit 1\n")
    outcome = operator.apply(_answers(operator, server, script))
    [report] = outcome.report.servers
    assert report.status == "failed"
    left = _look(server)
    if not has_nginx:
        # The package stays, and an update of it must not start what it brings.
        left["enabled"].remove("docker-registry.service masked")
        server.run("apt-get -qy install --reinstall docker-registry >/dev/null 2>&1", timeout=120)
        assert _look(server)["ports"] == before["ports"]
    assert left == before
    if not has_nginx:
        assert (
            "rolled back to the previous state, except that these remain: the packages "
            in outcome.log
        )
        assert any("nginx" in warning and "remain" in warning for warning in report.warnings)

    # What the failed run added is no less added by Moorage because the next one finds it.
    script.write_text("#!/bin/sh\nexit 0\n")
    answers = _answers(operator, server, script)
    operator.install(answers)
    record = json.loads(server.read_file("/etc/moorage/deployment.json"))
    found, added = record["found"], record["added"]
    for package in PACKAGED.split():
        assert (package in found["packages"]) is has_nginx
        assert (package in added["packages"]) is not has_nginx
    assert "libnginx-mod-http-js" in added["packages"]
    assert "openssl" in {**found["packages"], **added["packages"]}
    assert found["units"]["nginx.service"]["active"] == "inactive"
    assert found["units"]["nginx.service"]["enabled"] == ("disabled" if has_nginx else "")
    assert found["accounts"] == []
    assert added["accounts"] == ["moorage"]
    assert {"/etc/moorage", "/etc/nginx/moorage"} <= set(added["folders"])

    # A run that died after its packages had noted them: what came later is the owner's.
    died = "/var/lib/moorage/runs/20200101T000000000-dead"
    server.run(
        f"mkdir {died} && cd {died} && touch lock && printf 'packages\nregistry\n' >step &&"
        " dpkg-query -W -f '${Package}\t${Version}\n' | grep -v '^bash\t' >packages.before"
    )

    # And runs by somebody whose clock is far ahead.
    server.run(
        "cd /var/lib/moorage/runs && for run in $(seq 20990101 20990110); do"
        " mkdir ${run}T000000000-late && printf 'done\n\n' >${run}T000000000-late/result; done"
    )

    # Later runs keep it, and status tells it.
    registry = {"domain": answers.registry.domain, "settings": {"log": {"level": "debug"}}}
    changed = operator.answers(
        [server],
        registry=registry,
    )
    operator.install(changed)
    record = json.loads(server.read_file("/etc/moorage/deployment.json"))
    assert (record["found"], record["added"]) == (found, added)
    with operator.open(changed) as deployment:
        [facts] = deployment.probe()
    status = status_of(facts)
    assert not explained(status)
    additions = status.additions
    assert additions is not None
    assert (additions.found, additions.added) == (found, added)

    if has_nginx:
        return
    # Whatever unmasked it, the package's own service does not stay beside the registry.
    server.run("systemctl unmask docker-registry; systemctl enable --now -q docker-registry")
    with operator.open(changed) as deployment:
        [facts] = deployment.probe()
    [fault] = explained(status_of(facts))
    assert fault.startswith("docker-registry.service")
    operator.install(changed)
    assert "5000" not in server.run("ss -Hltn").stdout
    assert not operator.plan(changed).has_changes


def test_the_next_apply_configures_a_package_whose_service_did_not_start(
    operator: Operator, server: LabServer
) -> None:
    server.write_file("/etc/nginx/conf.d/other.conf", "no_such_thing on;\n")
    answers = operator.answers([server])
    [report] = operator.apply(answers).report.servers
    assert "nginx was unpacked, but its service does not start" in report.message
    assert "/etc/nginx/conf.d/other.conf:1" in report.message
    server.run("rm /etc/nginx/conf.d/other.conf")
    operator.install(answers)
