"""Replacing one's own certificate: one command, checked before and after, no failed request."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from certificate_maker import Authority
from handshake import handshake
from operator_at_work import DOMAIN, Operator
from thorough import IS_THOROUGH
from traffic import Traffic
from wizard_driver import Wizard

from lab import LabServer
from lab.machine import say
from moorage.answers.model import Answers
from moorage.answers.save import save
from moorage.answers.secrets import Secret
from moorage.cli.main import main
from moorage.deploy.verify.registry_client import RegistryClient
from tui.app import WizardApp

pytestmark = pytest.mark.ready

ROUNDS = 10 if IS_THOROUGH else 3
CLIENTS = 8


class Files:
    """A certificate in two files, and more of them beside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Authority("Company root")
        self.certificate = folder / "fullchain.pem"
        self.key = folder / "key.pem"
        (folder / "root.pem").write_bytes(self.root.pem)
        self.issue(self.certificate, self.key)

    def issue(self, certificate: Path, key: Path, **dates: Any) -> None:
        """Write a new certificate and its key."""
        leaf, private = self.root.issue(DOMAIN, **dates)
        certificate.write_bytes(leaf + self.root.pem)
        key.write_bytes(private)

    def answers(self, operator: Operator, server: LabServer) -> Answers:
        """Return answers that name the files."""
        files = {"certificate": str(self.certificate), "key": str(self.key)}
        users = {"users": [{"name": "ci", "password": {"env": "CI_PASSWORD"}}]}
        return operator.answers([server], ssl={"mode": "files", "files": files}, credentials=users)


@pytest.fixture
def files(tmp_path: Path, operator: Operator) -> Files:
    """A certificate of the operator's own."""
    operator.passwords["ci"] = "password-of-ci"
    operator.monkeypatch.setenv("CI_PASSWORD", "password-of-ci")
    operator.leaks.add("password-of-ci", label="the password of ci")
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Files(folder)


def _replace(file: Path, *words: str) -> int:
    return main(["certificate", "replace", str(file), "--yes", *words, "--accept-host-key", "new"])


def test_replacements_under_load_fail_no_request(
    operator: Operator,
    server: LabServer,
    files: Files,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answers = files.answers(operator, server)
    operator.install(answers)
    file = tmp_path / "moorage.yml"
    save(answers, file)
    client = RegistryClient(
        server.address, 443, DOMAIN, True, files.root.pem, "ci", Secret(operator.passwords["ci"])
    )
    new, new_key = files.folder / "new.pem", files.folder / "new.key"

    with Traffic([client] * CLIENTS) as traffic:
        for _ in range(ROUNDS):
            files.issue(new, new_key)
            assert _replace(file, "--certificate", str(new), "--key", str(new_key)) == 0
            said = handshake(server, files.folder / "root.pem")
            assert "Verify return code: 0 (ok)" in said
            assert new.read_text().splitlines()[5] in said

    with capfd.disabled():
        counts = f"{traffic.count} pushes and pulls, {len(traffic.failures)} failed"
        say(f"{ROUNDS} changes under {CLIENTS} clients: {counts}")
    assert traffic.failures == []
    assert traffic.count > ROUNDS
    # The files in the answers hold what is served, so the next apply brings nothing back.
    assert files.certificate.read_bytes() == new.read_bytes()
    assert files.key.stat().st_mode & 0o077 == 0
    assert files.certificate.with_name("fullchain.pem.old").is_file()
    assert not operator.plan(answers).has_changes

    capfd.readouterr()
    shown = main(["certificate", "show", str(file), "--json", "--accept-host-key", "new"])
    assert shown == 0
    (each,) = json.loads(capfd.readouterr().out)["servers"]
    assert each["is_good"]
    assert each["certificate"]["names"] == [DOMAIN]
    assert each["certificate"]["chain"] == [DOMAIN, "Company root"]
    assert each["served"]["protocol"] == "TLSv1.3"


def test_an_unusable_certificate_is_rejected_before_anything_changes(
    operator: Operator,
    server: LabServer,
    files: Files,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answers = files.answers(operator, server)
    operator.install(answers)
    file = tmp_path / "moorage.yml"
    save(answers, file)
    before = handshake(server, files.folder / "root.pem", "-no_ticket")
    kept = files.certificate.read_bytes()
    new, new_key = files.folder / "new.pem", files.folder / "new.key"
    words = ("--certificate", str(new), "--key", str(new_key))
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)

    files.issue(new, new_key, until=now - day)
    assert _replace(file, *words) == 2
    assert "The certificate expired on" in capfd.readouterr().err
    files.issue(new, new_key, since=now + day)
    assert _replace(file, *words) == 2
    assert "valid only from" in capfd.readouterr().err
    files.issue(new, files.folder / "another.key")
    assert _replace(file, *words) == 2
    assert "The key does not belong to the certificate" in capfd.readouterr().err
    assert _replace(file, "--certificate", str(files.folder / "none.pem")) == 2
    assert "cannot be read" in capfd.readouterr().err

    # Something else waits to be applied: this command changes the certificate and nothing else.
    files.issue(new, new_key)
    registry = {"domain": DOMAIN, "settings": {"log": {"level": "debug"}}}
    changed = answers.model_copy(
        update={"registry": operator.answers([server], registry=registry).registry}
    )
    save(changed, file)
    assert _replace(file, *words) == 1
    assert "more than the certificate would change" in capfd.readouterr().err

    save(operator.answers([server]), file)
    assert _replace(file, *words) == 1
    assert "does not come from files" in capfd.readouterr().err

    assert files.certificate.read_bytes() == kept
    line = kept.decode().splitlines()[5]
    assert line in before
    assert line in handshake(server, files.folder / "root.pem")


def test_show_reports_a_server_with_a_different_certificate(
    operator: Operator,
    server: LabServer,
    files: Files,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answers = files.answers(operator, server)
    operator.install(answers)
    file = tmp_path / "moorage.yml"
    save(answers, file)
    # Somebody put another one there by hand and did not reload nginx.
    new, new_key = files.folder / "new.pem", files.folder / "new.key"
    files.issue(new, new_key)
    server.write_file("/etc/nginx/moorage/tls/fullchain.pem", new.read_text())
    assert main(["certificate", "show", str(file), "--accept-host-key", "new"]) == 1
    assert "another one" in capfd.readouterr().out


async def test_the_wizard_replaces_a_certificate_with_one_key(
    operator: Operator, server: LabServer, files: Files
) -> None:
    answers = files.answers(operator, server)
    operator.install(answers)
    files.issue(files.certificate, files.key)
    app = WizardApp(prefill=answers, large_upload=False)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        wizard = Wizard(app, pilot)
        await wizard.press("alt+5")
        await wizard.see("The certificate matches the name and the key", "Replace on the servers")
        await wizard.press("ctrl+t")
        await wizard.see("no request fails", server.address, seconds=60)
        await wizard.press("enter")
        await wizard.see(f"{server.address} shows the new certificate", seconds=60)
        await wizard.press("ctrl+t")
        await wizard.see("already have this certificate", seconds=60)
    assert files.certificate.read_text().splitlines()[5] in handshake(server)
