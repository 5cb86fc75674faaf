"""What an apply means for people, in the wizard: said first, and never accepted by Enter alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer, FakeServers, some_user
from opening import opened
from textual.widgets import Button
from wizard_driver import SIZES, Wizard

from moorage.desired import layout
from screens.apply.screen import ApplyScreen
from screens.review.step import ReviewPane
from tui.app import WizardApp

ANSWERS: dict[str, Any] = {
    "version": 1,
    "registry": {"domain": "registry.example.com"},
    "servers": [{"host": "alpha"}],
    "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
    "ssl": {"mode": "none"},
    "based_on": 3,
}
HISTORY = [
    {"revision": 3, "by": "ana@laptop", "at": "2026-03-01T10:00:00Z", "added": ["ci"]},
    {"revision": 4, "by": "bob@desk", "at": "2026-03-02T09:12:40Z", "added": ["dora", "eve"],
     "answers": ["registry.redirect_http", "servers"]},
]  # fmt: skip


def changed_by_bob(servers: FakeServers) -> FakeServer:
    """A server on which Bob added two users and turned a setting since revision 3."""
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci"), some_user("dora", "pull"), some_user("eve")])
    record = json.loads(alpha.files[layout.DEPLOYMENT])
    record |= {"revision": 4, "by": "bob@desk", "at": "2026-03-02T09:12:40Z", "history": HISTORY}
    record["users"]["declared"] = ["ci", "dora", "eve"]
    record["answers"]["registry"]["redirect_http"] = False
    record["answers"]["servers"] = [{"host": "alpha", "password": {"command": ["reboot"]}}]
    alpha.files[layout.DEPLOYMENT] = json.dumps(record).encode()
    servers["alpha"] = alpha
    return alpha


def focused(wizard: Wizard) -> str:
    button = wizard.app.focused
    return str(button.label) if isinstance(button, Button) else ""


@pytest.mark.parametrize("size", SIZES)
async def test_changes_by_others_are_shown_and_undone_only_when_accepted(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    changed_by_bob(servers)
    async with opened(servers, prefill=ANSWERS, size=size) as wizard:
        await wizard.see("Changed meanwhile", "bob@desk", "added dora, eve", "Take over")
        assert focused(wizard) == "Take over"
        await wizard.press("escape")  # decides nothing
        await wizard.see("! 2 users are removed: dora, eve.")
        await wizard.press("enter")
        await wizard.see("Changed meanwhile")
        await wizard.press("left", "enter")
        await wizard.press("enter")
        await wizard.see("! 2 users are removed: dora, eve.", "On alpha")
        assert focused(wizard) == "Back"
        await wizard.press("enter")
        assert isinstance(wizard.app.screen.query_one("#review"), ReviewPane)
        assert not isinstance(wizard.app.screen, ApplyScreen)


async def test_changes_by_others_are_merged(servers: FakeServers) -> None:
    changed_by_bob(servers)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("Changed meanwhile", "registry.redirect_http", "Change yourself: servers")
        await wizard.press("enter")
        await wizard.see("1 server:")
        assert "removed: dora" not in wizard.text
        assert wizard.app.session is not None
        taken = wizard.app.session.draft.answers()
        assert [user.name for user in taken.credentials.users] == ["ci", "dora", "eve"]
        assert taken.credentials.users[1].access == "pull"
        assert taken.registry.redirect_http is False
        assert taken.servers[0].password is None
        assert taken.based_on == 4


async def test_a_wizard_that_was_already_open_shows_changes_by_others(servers: FakeServers) -> None:
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    servers["alpha"] = alpha
    unsaved = {name: part for name, part in ANSWERS.items() if name != "based_on"}
    async with opened(servers, prefill=unsaved) as wizard:
        await wizard.see("1 server:")
        changed_by_bob(servers)
        await wizard.press("ctrl+r")
        await wizard.see("Changed meanwhile", "added dora, eve")


async def test_leaving_images_behind_needs_acceptance(servers: FakeServers) -> None:
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    alpha.extra_facts = "images\t/var/lib/moorage/registry\tyes\t\n"
    servers["alpha"] = alpha
    elsewhere = ANSWERS | {"storage": {"filesystem": {"path": "/srv/elsewhere"}}}
    async with opened(servers, prefill=elsewhere) as wizard:
        await wizard.see("! The images in /var/lib/moorage/registry will")
        await wizard.press("enter")
        await wizard.see("Apply and begin empty")
        assert focused(wizard) == "Back"


async def test_a_missing_disk_of_images_can_be_accepted(servers: FakeServers) -> None:
    alpha, folder = FakeServer("alpha"), "/var/lib/moorage/registry"
    alpha.put([some_user("ci")])
    record = json.loads(alpha.files[layout.DEPLOYMENT])
    record["store"] = {"folder": folder, "marker": "0" * 16, "mount": "/srv", "source": "/dev/sdb"}
    alpha.files[layout.DEPLOYMENT] = json.dumps(record).encode()
    alpha.extra_facts = f"store\t{folder}\t\t/\t/dev/sda\tno\n"
    servers["alpha"] = alpha
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("! The image disk is missing")
        await wizard.press("enter")
        await wizard.see("Apply and begin empty")
        assert focused(wizard) == "Back"


@pytest.mark.parametrize("by_palette", [False, True])
async def test_ending_transfers_needs_acceptance(servers: FakeServers, *, by_palette: bool) -> None:
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    alpha.extra_facts = "draining\tgreen\t60\t2\n"
    servers["alpha"] = alpha
    answers = ANSWERS | {"based_on": None}
    async with opened(servers, prefill=answers, size=(120, 40)) as wizard:
        await wizard.see("Slot green", "2 transfers", "to cut them off instead")
        assert "--end-transfers" not in wizard.text
        await wizard.press("enter")
        await wizard.see("On alpha")
        assert "cut off;" not in wizard.text
        await wizard.press("escape")
        if by_palette:
            await wizard.search_palette("End transfers", "End transfers")
            await wizard.press("enter")
        else:
            await wizard.press("e")
        await wizard.see("! alpha: 2 transfers are cut off", "Apply and end transfers")
        assert focused(wizard) == "Back"
        await wizard.press("right", "enter")
        await wizard.see("Apply failed")  # nobody answers the checks
    assert "ends_transfers\tyes" in alpha.settings


async def test_a_retry_does_not_end_the_transfers_that_began_since(servers: FakeServers) -> None:
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    alpha.extra_facts = "draining\tgreen\t60\t2\n"
    alpha.result = "@result\tfailed\tregistry_not_starting\tno\n"
    servers["alpha"] = alpha
    async with opened(servers, prefill=ANSWERS | {"based_on": None}, size=(120, 40)) as wizard:
        await wizard.see("Slot green", "2 transfers")
        await wizard.press("e")
        await wizard.see("Apply and end transfers")
        await wizard.press("right", "enter")
        await wizard.see("Apply failed", "r Retry")
        assert "ends_transfers\tyes" in alpha.settings
        await wizard.press("r")
        await wizard.until(lambda: alpha.runs == 2, "the second run begins")
        await wizard.see("Apply failed", "r Retry")
    assert "ends_transfers\tno" in alpha.settings


async def test_ending_transfers_is_offered_only_where_one_blocks_the_apply(
    servers: FakeServers,
) -> None:
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    servers["alpha"] = alpha
    async with opened(servers, prefill=ANSWERS | {"based_on": None}) as wizard:
        await wizard.see("1 server:")
        await wizard.press("e")
        assert "End transfers" not in wizard.text
        await wizard.press("enter")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.see("Apply failed")
    assert "ends_transfers\tno" in alpha.settings


async def test_late_events_do_not_hide_the_result(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WizardApp, "_pump", lambda app: None)
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    servers["alpha"] = alpha
    async with opened(servers, prefill=ANSWERS | {"based_on": None}) as wizard:
        await wizard.see("1 server:")
        await wizard.press("enter")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.see("Apply failed", "✗ reach port 443", "- delete")


async def test_an_apply_writes_based_on_into_the_file(servers: FakeServers, home: Path) -> None:
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    servers["alpha"] = alpha
    file = home / "moorage.yml"
    text = (
        "# ours\nversion: 1\nregistry: {domain: registry.example.com}\nservers: [{host: alpha}]\n"
        "credentials: {users: [{name: ci, password: {generate: true}}]}\nssl: {mode: none}\n"
    )
    file.write_text(text)
    async with opened(servers, path=file) as wizard:
        await wizard.press("alt+7")
        await wizard.see("1 server:")
        await wizard.press("enter")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.see("Apply failed")  # nobody answers the checks
        await wizard.press("enter")
        await wizard.see("The apply did not complete.")
    assert file.read_text() == f"{text}based_on: 1\n"
    assert json.loads(alpha.files[layout.DEPLOYMENT])["revision"] == 1
