"""Two wizards on one deployment: the later one hears of the other, and undoes nothing unseen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from operator_at_work import Operator
from wizard_driver import Wizard

from lab import LabServer
from moorage.answers.model import User
from moorage.answers.save import save
from moorage.answers.secrets import Generated
from tui.app import WizardApp


def users_of(server: LabServer) -> set[str]:
    return set(server.run("cut -d: -f1 /etc/nginx/moorage/htpasswd").stdout.split())


@pytest.mark.ready
async def test_the_later_wizard_shows_others_changes_and_undoes_none_silently(
    operator: Operator, server: LabServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "known_hosts").write_text(server.known_hosts_line() + "\n")
    (tmp_path / "ssh_config").write_text(f"Host *\n  UserKnownHostsFile {tmp_path}/known_hosts\n")
    monkeypatch.setenv("MOORAGE_SSH_CONFIG", str(tmp_path / "ssh_config"))
    monkeypatch.setenv("MOORAGE_BY", "ana@laptop")
    monkeypatch.chdir(tmp_path)
    answers = operator.answers([server])
    report = operator.install(answers).report
    file = tmp_path / "late.yml"
    save(answers.model_copy(update={"based_on": report.revision}), file)
    late = WizardApp(file, large_upload=False)
    async with late.run_test(size=(120, 40)) as pilot:
        wizard = Wizard(late, pilot)
        await wizard.press("alt+7")
        await wizard.see("1 server: nothing to change")

        # Another wizard, on another machine, adds two users meanwhile.
        monkeypatch.setenv("MOORAGE_STATE", str(tmp_path / "elsewhere"))
        shutil.copytree(operator.home / "state", tmp_path / "elsewhere")
        monkeypatch.setenv("MOORAGE_BY", "bob@desk")
        more = tuple(User(name=name, password=Generated(generate=True)) for name in ("dora", "eve"))
        credentials = answers.credentials.model_copy(
            update={"users": (*answers.credentials.users, *more)}
        )
        early_file = tmp_path / "early.yml"
        early_answers = {"credentials": credentials, "based_on": report.revision}
        save(answers.model_copy(update=early_answers), early_file)
        early = WizardApp(early_file, large_upload=False)
        async with early.run_test(size=(120, 40)) as other_pilot:
            other = Wizard(early, other_pilot)
            await other.see("changed but not applied")
            await other.press("v")
            await other.see("2 users are added: dora, eve.")
            await other.press("enter")
            await other.see(f"On {server.address}")
            await other.press("enter")
            await other.see("dora", "Passwords, shown only here", seconds=180)
        assert users_of(server) == {"ci", "dora", "eve"}
        assert f"based_on: {report.revision + 1}\n" in early_file.read_text()

        # The later one turns a setting and hears of it.
        assert late.session is not None
        late.session.draft.set("registry.redirect_http", value=False)
        await wizard.press("ctrl+r")
        await wizard.see("Changed meanwhile", "bob@desk", "added dora, eve")
        await wizard.press("enter")  # takes it over
        await wizard.see("1 server:")
        await wizard.press("enter")
        await wizard.see(f"On {server.address}")
        assert "dora" not in wizard.text
        await wizard.press("enter")
        await wizard.see("Log in and push", seconds=180)
    assert users_of(server) == {"ci", "dora", "eve"}
    record = json.loads(server.run("cat /etc/moorage/deployment.json").stdout)
    assert record["revision"] == report.revision + 2
