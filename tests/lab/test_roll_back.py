"""Rolling back: earlier deployments come back in one switch, and users stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN, Operator
from traffic import Traffic
from wizard_driver import Wizard

from lab import LabServer
from lab.machine import say
from moorage.answers.model import Answers
from moorage.deploy.lifecycle.kept import read_deployments
from moorage.deploy.lifecycle.rollback import choose, plan_rollback
from tui.app import WizardApp

pytestmark = pytest.mark.ready

FILE = """\
# Our registry.
version: 1
registry:
  domain: {domain}
  settings: {{log: {{level: {level}}}}}  # how much it logs
# Where it runs.
servers:
  - {{host: {host}, user: root, key: {key}}}
credentials:
  # the CI system
  users:
    - {{name: ci, access: push, password: {{env: CI_PW}}}}
"""
PIN = "Package: *\nPin: release n=trixie\nPin-Priority: 100\n"
SOURCES = "/etc/apt/sources.list.d"
APPLY = ("apply", "moorage.yml", "--yes", "--json", "--no-verify")
ROLLBACK = ("rollback", "moorage.yml", "--yes", "--json", "--skip-large-upload")


@pytest.fixture
def call(operator: Operator) -> Iterator[CommandLine]:
    operator.leaks.add(PASSWORD, label="the password of ci")
    line = CommandLine(operator, {"MOORAGE_BY": "ana@laptop"})
    yield line
    for process in line.going_on:
        process.kill()
        process.wait()


def _write(call: CommandLine, server: LabServer, level: str) -> Path:
    path = call.home / "moorage.yml"
    path.write_text(FILE.format(domain=DOMAIN, level=level, host=server.address, key=server.key))
    return path


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _record(server: LabServer) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(server.run("cat /etc/moorage/deployment.json").stdout)
    return read


def _kept(server: LabServer) -> list[str]:
    return server.run("ls -A /var/lib/moorage/deployments").stdout.split()


def _config(server: LabServer) -> dict[str, Any]:
    slot = _record(server)["slot"]
    read: dict[str, Any] = yaml.safe_load(
        server.run(f"cat /etc/moorage/registry/{slot}/config.yml").stdout
    )
    return read


def test_settings_go_back_and_users_stay(
    operator: Operator, call: CommandLine, server: LabServer
) -> None:
    call.add_known_hosts(server)
    for level in ("debug", "info", "warn"):
        path = _write(call, server, level)
        applied = call(*APPLY)
        assert applied.code == 0, applied.stdout + applied.stderr
    assert len(_kept(server)) == 3
    add = ("users", "add", "moorage.yml", "flora", "--yes", "--json", "--passwords-to", "flora")
    assert call(*add).code == 0
    assert len(_kept(server)) == 3
    client = operator.client(server, PASSWORD)
    edited = path.read_text().replace("registry:\n", "registry:\n  port: 8443  # not yet\n")
    path.write_text(edited)

    with Traffic([client] * 4) as traffic:
        back = call(*ROLLBACK)
    assert back.code == 0, back.stdout + back.stderr
    say(f"{traffic.count} pushes and pulls during a rollback, {len(traffic.failures)} failed")
    assert traffic.count > 4
    assert traffic.failures == []

    planned = next(each for each in _events(back.stdout) if each["event"] == "plan")
    assert planned["to_revision"] == 2
    assert planned["replaced"] == ["registry.port"]
    copy = path.with_name("moorage.yml.before-revision-5")
    assert copy.read_text() == edited
    assert _events(back.stdout)[-1]["copy"] == copy.name
    assert f"{copy.name} is its copy from before." in back.stderr
    record = _record(server)
    assert record["revision"] == 5
    assert record["history"][-1]["rolled_back_to"] == 2
    assert record["history"][-1]["answers"] == ["registry.settings"]
    assert _config(server)["log"]["level"] == "info"
    assert "flora" in server.run("cat /etc/nginx/moorage/htpasswd").stdout
    text = path.read_text()
    assert yaml.safe_load(text)["registry"]["settings"]["log"]["level"] == "info"
    assert yaml.safe_load(text)["based_on"] == 5
    for comment in ("# Our registry.", "# Where it runs."):
        assert comment in text

    differ = json.loads(call("diff", "moorage.yml", "--from", "3", "--json").stdout)
    assert (differ["from"], differ["to"]) == (3, 5)
    assert differ["answers"] == [
        {"path": "registry.settings.log.level", "before": "warn", "after": "info"}
    ]
    assert [each["path"] for each in differ["servers"][0]["files"]] == [
        "/etc/moorage/registry/config.yml"
    ]
    shown = call("diff", "--server", f"root@{server.address}", "--key", str(server.key)).stdout
    assert "-  level: warn\n+  level: info\n" in shown

    again = call("plan", "moorage.yml", "--detailed-exitcode", "--json")
    assert again.code == 0, again.stdout
    # Another one undoes it; any kept revision can be named.
    assert call(*ROLLBACK).code == 0
    assert _config(server)["log"]["level"] == "warn"
    assert call(*ROLLBACK, "--to", "2", "--no-save").code == 0
    assert _config(server)["log"]["level"] == "info"
    assert yaml.safe_load(path.read_text())["registry"]["settings"]["log"]["level"] == "warn"
    assert len(_kept(server)) == 4
    unknown = call(*ROLLBACK, "--to", "1")
    assert unknown.code == 1
    assert "deployment_not_kept" in unknown.stdout + unknown.stderr


@pytest.mark.ready("docker.io")
def test_an_image_goes_back(
    operator: Operator, server: LabServer, registry_image: Path, registry_3_image: Path
) -> None:
    """Also the configuration, which is written for the other version."""

    def wish(tag: str, archive: Path) -> Answers:
        image = {"image": f"docker.io/library/registry:{tag}", "image_archive": str(archive)}
        return operator.answers([server], registry={"runtime": "docker", "domain": DOMAIN, **image})

    operator.install(wish("2.8", registry_image))
    answers = wish("3.1.1", registry_3_image)
    operator.install(answers)
    # Nobody but the kept deployment refers to the image.
    server.run("docker rmi docker.io/library/registry:2.8 && docker image prune -f")
    client = operator.client(server)
    with Traffic([client] * 4) as traffic, operator.open(answers) as deployment:
        rollback = choose(read_deployments(deployment), answers)
        with deployment.with_answers(rollback.answers) as there:
            plan = plan_rollback(there, rollback, there.probe())
            report = there.apply(plan)
    assert report.is_good, report
    assert traffic.failures == []
    assert "registry_version" in {each.code for each in plan.consequences}
    say(f"{traffic.count} pushes and pulls while an image went back")
    assert _record(server)["registry_version"].startswith("2.8")
    # The archive of the answers is the other image's.
    assert rollback.left == ("registry.image_archive",)
    assert not operator.plan(rollback.answers).has_changes


def _add_newer_release(server: LabServer) -> None:
    """Let apt know the packages of the next release, without preferring them."""
    sources = server.read_file(f"{SOURCES}/debian.sources")
    newer = "\n\n".join(
        each for each in sources.split("\n\n") if "Suites: bookworm\n" in f"{each}\n"
    )
    server.write_file(f"{SOURCES}/newer.sources", newer.replace("bookworm", "trixie"))
    server.write_file("/etc/apt/preferences.d/newer", PIN)


def test_a_package_goes_back(operator: Operator, call: CommandLine, server: LabServer) -> None:
    call.add_known_hosts(server)
    path = _write(call, server, "info")
    assert call(*APPLY).code == 0
    _add_newer_release(server)
    packages = server.run("dpkg-query -W").stdout
    upgraded = call("upgrade", "moorage.yml", "--to-version", "2.8.3", "--yes", "--json")
    assert upgraded.code == 0, upgraded.stdout
    assert _record(server)["registry_version"].startswith("2.8.3")
    changed = set(server.run("dpkg-query -W").stdout.splitlines()) - set(packages.splitlines())
    assert [each.partition("\t")[0] for each in changed] == ["docker-registry"]
    with Traffic([operator.client(server, PASSWORD)] * 4) as traffic:
        back = call(*ROLLBACK)
    assert back.code == 0, back.stdout + back.stderr
    say(f"{traffic.count} pushes and pulls while a package went back")
    assert traffic.failures == []
    assert _record(server)["registry_version"].startswith("2.8.2")
    slot = _record(server)["slot"]
    pid = server.run(f"systemctl show -p MainPID --value moorage-registry@{slot}").stdout.strip()
    program = server.run(f"cat /etc/moorage/registry/{slot}/program.env; readlink /proc/{pid}/exe")
    named = program.stdout.partition('MOORAGE_PROGRAM="')[2].partition('"')[0]
    assert program.stdout.splitlines()[-1] == named
    assert "2.8.2" in server.run(f"{named} --version").stdout
    planned = next(each for each in _events(back.stdout) if each["event"] == "plan")
    assert [each["code"] for each in planned["consequences"]] == ["registry_version"]
    assert call("plan", "moorage.yml", "--detailed-exitcode", "--json").code == 0
    differ = json.loads(call("diff", "moorage.yml", "--json").stdout)["servers"][0]
    assert differ["version_before"].startswith("2.8.3")
    assert differ["version_after"].startswith("2.8.2")
    assert path.read_text().startswith("# Our registry.")


async def test_the_dashboard_shows_the_changes_of_a_run_and_goes_back(
    operator: Operator, call: CommandLine, server: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_PW", PASSWORD)
    call.add_known_hosts(server)
    for level in ("debug", "info"):
        path = _write(call, server, level)
        assert call(*APPLY).code == 0
    with path.open("a") as file:
        file.write("ssl: {hsts: 3600}  # not yet\n")
    app = WizardApp(path, large_upload=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        wizard = Wizard(app, pilot)
        await wizard.see("Dashboard", "(as of ")
        await wizard.press("5")
        await wizard.see("changed settings registry.settings")
        await wizard.press("d")
        await wizard.see("registry.settings.log.level  debug → info", "config.yml", "+1 -1")
        await wizard.press("escape", "down", "b")
        await wizard.see("Rolls back to revision 1, by ana@laptop", "registry: switch")
        await wizard.press("enter")
        await wizard.see("If it fails", "Roll back", "Not applied yet", "ssl.hsts")
        await wizard.press("enter")
        await wizard.see("is up.", seconds=120)
    text = path.read_text()
    assert "# Where it runs." in text
    assert yaml.safe_load(text)["registry"]["settings"]["log"]["level"] == "debug"
    assert yaml.safe_load(text)["based_on"] == 3
    assert "# not yet" in path.with_name("moorage.yml.before-revision-3").read_text()
    assert call("plan", "moorage.yml", "--detailed-exitcode", "--json").code == 0
    assert _config(server)["log"]["level"] == "debug"


def test_what_else_goes_back(
    operator: Operator, call: CommandLine, server: LabServer, tmp_path: Path
) -> None:
    """TLS with the certificate of that time, hooks; a full disk only loses the way back."""
    hook = tmp_path / "hook.sh"
    hook.write_text("#!/bin/sh\necho hooked >>/run/hooked\n")
    hooks = [{"name": "note", "script": str(hook), "when": ["after_apply"]}]
    call.add_known_hosts(server)
    call.write_answers(server, hooks=hooks)
    assert call(*APPLY, "--passwords-to", "passwords").code == 0
    certificate = server.run("cat /etc/nginx/moorage/tls/fullchain.pem").stdout

    folder = "/var/lib/moorage/deployments"
    server.run(f"mount -t tmpfs -o size=4k tmpfs {folder}")
    call.write_answers(server, ssl={"mode": "none"})
    applied = call(*APPLY)
    assert applied.code == 0, applied.stdout
    assert "this deployment was not kept" in applied.stdout
    assert "No space left on device" in applied.stdout
    assert _kept(server) == []
    server.run(f"umount {folder}")
    assert server.run("ls /etc/moorage/hooks /etc/nginx/moorage/tls || true").stdout.split() == [
        "/etc/moorage/hooks:", "/etc/nginx/moorage/tls:",
    ]  # fmt: skip

    back = call(*ROLLBACK, "--no-verify")
    assert back.code == 0, back.stdout
    planned = next(each for each in _events(back.stdout) if each["event"] == "plan")
    assert [each["code"] for each in planned["consequences"]] == ["tls_on"]
    assert "certificate_restored" in [each["code"] for each in planned["servers"][0]["notes"]]
    # The answers no longer have the path of the script.
    assert planned["left"] == ["hooks: note"]
    assert server.run("cat /etc/nginx/moorage/tls/fullchain.pem").stdout == certificate
    assert "hooked" in server.run("cat /etc/moorage/hooks/note").stdout
    # The one that was not kept is kept now, so that there is a way forward again.
    assert len(_kept(server)) == 3
    assert call(*ROLLBACK, "--no-verify").code == 0
    assert call("plan", "moorage.yml", "--detailed-exitcode", "--json").code == 0
