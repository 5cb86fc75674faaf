"""Servers that left: the dashboard lists them, and Review has a choice for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer, FakeServers, some_user
from opening import opened
from wizard_driver import SIZES, Wizard

from moorage.answers.save import save
from moorage.deploy.deployment import Deployment
from moorage.deploy.lifecycle import leaving
from moorage.deploy.verify.verify import Verification
from moorage.desired import layout
from moorage.errors import ExitCode
from tui.document import store
from tui.document.draft import Draft

ANSWERS: dict[str, Any] = {
    "version": 1,
    "registry": {"domain": "registry.example.com"},
    "servers": [{"host": "alpha"}],
    "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
    "ssl": {"mode": "none"},
}
BETA = {"host": "beta", "user": "admin", "at": "2026-03-02T10:00:00Z", "by": "ana@desk"}


def remembering(servers: FakeServers, *left: object) -> FakeServer:
    """A server whose record has servers that left."""
    servers["alpha"] = alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    record = json.loads(alpha.files[layout.DEPLOYMENT]) | {"left": left}
    alpha.files[layout.DEPLOYMENT] = json.dumps(record).encode()
    return alpha


@pytest.mark.parametrize("size", SIZES)
async def test_the_dashboard_lists_servers_that_left(
    servers: FakeServers, home: Path, size: tuple[int, int]
) -> None:
    remembering(servers, BETA)
    path, draft = home / "moorage.yml", Draft(ANSWERS)
    save(draft.answers(), path)
    store.keep_applied(draft)
    store.remember(path, draft.domain, state="applied")
    async with opened(servers, path=path, size=size) as wizard:
        await wizard.see("! admin@beta", "by ana@desk", "moorage uninstall --server admin@beta.")


@pytest.fixture
def _passing_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the checks from outside pass, for which a fake server has no registry."""
    monkeypatch.setattr(Deployment, "verify", lambda *_, **__: Verification(()))


def left_on(alpha: FakeServer) -> list[str]:
    """Return the servers that left, according to a server's record."""
    record = json.loads(alpha.files[layout.DEPLOYMENT])
    return [each["host"] for each in record.get("left", [])]


async def choose_to_uninstall(wizard: Wizard) -> None:
    """Plan, choose to uninstall the server that left, and confirm."""
    await wizard.see("Left, keep running (l: choose): beta")
    await wizard.press("l")
    await wizard.see("(•) Keep running", "[ ] beta no longer exists", "^s OK")
    await wizard.press("down", "ctrl+s")
    await wizard.see("! The registry is removed", "from: beta")
    await wizard.press("enter")
    await wizard.see("Apply and uninstall", "On alpha")
    await wizard.press("enter")  # Back has the focus
    await wizard.until(lambda: "On alpha" not in wizard.text, "the question is closed")
    await wizard.press("enter")
    await wizard.see("Apply and uninstall", "On alpha")
    await wizard.press("right", "enter")


@pytest.mark.usefixtures("_passing_checks")
@pytest.mark.parametrize("size", SIZES)
async def test_review_uninstalls_servers_that_left(
    servers: FakeServers, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "_forget", lambda *_: 7)
    _, beta = remembering(servers, BETA), servers["beta"]
    beta.put([some_user("ci")])
    async with opened(servers, prefill=ANSWERS, size=size) as wizard:
        await choose_to_uninstall(wizard)
        await wizard.see("is up.", "Servers that left", "✓ beta: uninstalled")
        assert wizard.app.session is not None
        outcome = wizard.app.session.operations.outcome
        assert outcome is not None
        assert outcome.exit_code is ExitCode.DONE
        assert wizard.app.session.draft.answers().based_on == 7
    assert beta.runs == 1
    assert not beta.files


@pytest.mark.usefixtures("_passing_checks")
async def test_the_wait_before_an_uninstall_is_shown_and_can_be_ended(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "_ttl", lambda _: 86400)
    alpha, beta = remembering(servers, BETA), servers["beta"]
    beta.put([some_user("ci")])
    async with opened(servers, prefill=ANSWERS) as wizard:
        await choose_to_uninstall(wizard)
        await wizard.see("Uninstalling the servers that left", "beta", "uninstalled in 86400 s")
        await wizard.press("escape")
        await wizard.see("uninstalls those that", "Do not wait", "Continue")
        await wizard.press("right", "enter")
        await wizard.see("Not all servers that left were uninstalled", "not uninstalled: cancelled")
        await wizard.see("Press r, and choose there")
        assert wizard.app.session is not None
        outcome = wizard.app.session.operations.outcome
        assert outcome is not None
        assert outcome.exit_code is ExitCode.PARTLY_DONE
    assert beta.runs == 0
    assert left_on(alpha) == ["beta"]


@pytest.mark.usefixtures("_passing_checks")
async def test_review_forgets_a_server_that_no_longer_exists(servers: FakeServers) -> None:
    gamma = BETA | {"host": "gamma"}
    alpha = remembering(servers, BETA, gamma)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("keep running (l: choose): beta, gamma")
        await wizard.press("l")
        await wizard.see("[ ] beta no longer exists", "[ ] gamma no longer exists")
        await wizard.press("enter", "space", "ctrl+s")
        await wizard.see("! No longer on record afterwards: beta", "(l: choose): gamma")
        await wizard.press("ctrl+r")  # begins again
        await wizard.see("keep running (l: choose): beta, gamma")
        await wizard.press("l")
        await wizard.see("[ ] beta no longer exists")
        await wizard.press("enter", "space", "ctrl+s")
        await wizard.see("! No longer on record afterwards: beta", "(l: choose): gamma")
        await wizard.press("enter")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.see("is up.")
    assert left_on(alpha) == ["gamma"]
    assert "beta" not in servers
    assert "gamma" not in servers


async def test_without_servers_that_left_there_is_no_choice(servers: FakeServers) -> None:
    remembering(servers)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        await wizard.press("l")
        assert "no longer exists" not in wizard.text


async def test_the_choice_does_not_outlast_the_plan(servers: FakeServers) -> None:
    remembering(servers, BETA)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("Left, keep running (l: choose): beta")
        assert wizard.app.session is not None
        operations = wizard.app.session.operations
        operations.uninstalls_left, operations.gone = True, frozenset({"beta"})
        operations.open(wizard.app.session.answers())  # as for an upgrade
        assert not operations.uninstalls_left
        assert not operations.gone
