"""The wizard by mouse alone, apart from what has to be typed, from nothing to Done."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList
from wizard_driver import Wizard

from lab import LabServer
from tui.app import WizardApp
from tui.widgets.copy_block import CopyBlock
from tui.widgets.field import Field

DOMAIN = "registry.mouse.test"


async def click(wizard: Wizard, selector: str) -> None:
    """Click on the first widget that a selector names."""
    widget = wizard.app.screen.query(selector).first()
    widget.scroll_visible(animate=False)
    await wizard.pilot.pause()
    assert await wizard.pilot.click(widget), selector
    await wizard.pilot.pause()


async def fill(wizard: Wizard, label: str, text: str) -> None:
    """Click into a field and type."""
    field = next(each for each in wizard.app.screen.query(Field) if each.label == label)
    field.scroll_visible(animate=False)
    await wizard.pilot.pause()
    assert await wizard.pilot.click(field.input)
    focused = wizard.app.focused
    assert isinstance(focused, Input)
    assert focused is field.input
    focused.insert_text_at_cursor(text)
    await wizard.pilot.pause()


@pytest.mark.ready
async def test_from_nothing_to_done_with_the_mouse(
    server: LabServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "known_hosts").write_text(server.known_hosts_line() + "\n")
    (tmp_path / "ssh_config").write_text(f"Host *\n  UserKnownHostsFile {tmp_path}/known_hosts\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("MOORAGE_SSH_CONFIG", str(tmp_path / "ssh_config"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.chdir(tmp_path)
    app = WizardApp(large_upload=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        wizard = Wizard(app, pilot)
        assert await pilot.click(OptionList, offset=(4, 0))
        await wizard.see("Where should the registry run?")
        await fill(wizard, "Registry name", DOMAIN)
        await click(wizard, "#add")
        await wizard.see("Key file")
        await fill(wizard, "Server", server.address)
        await fill(wizard, "User", "root")
        await fill(wizard, "Key file", str(server.key))
        await click(wizard, "ServerDialog #test")
        await wizard.see("root works")
        await click(wizard, "ServerDialog #accept")
        await wizard.see("Where should the registry run?")
        await click(wizard, "#step-storage")
        await wizard.see("Where should images be stored?")
        for step in ("DNS", "SSL", "Advanced"):
            await click(wizard, "#next")
            await wizard.see(f"{step}  ")
        await click(wizard, "#step-review")
        await wizard.see("1 server: 27 files new", seconds=60)
        await click(wizard, "#next")
        await wizard.see(f"On {server.address}")
        await click(wizard, "#accept")
        await wizard.see(f"{DOMAIN} is up.", seconds=180)
        await click(wizard, "CopyBlock Button")
        block = app.screen.query(CopyBlock).first()
        assert block.is_copied
        password = app.clipboard
        assert password == block.text
        (authority,) = (tmp_path / "state").glob("ca/*/ca.pem")
        answer = subprocess.run(
            ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(authority),
             "--resolve", f"{DOMAIN}:443:{server.address}", "-K", "-", f"https://{DOMAIN}/v2/"],
            input=f'user = "admin:{password}"\n', check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        assert answer == "200"
