"""Connecting to a server whose record wants more than to be shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bait import Bait, watched
from fake_server import FakeServer, FakeServers, some_user
from opening import opened

from moorage.desired import layout
from tui.document import store
from tui.document.draft import Draft

OTHER = "baited.example.com"


@pytest.fixture
def bait(home: Path, servers: FakeServers) -> Iterator[Bait]:
    """Bait in the operator's home, and a server whose record names it."""
    bait = Bait(home)
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    alpha.files[layout.DEPLOYMENT] = bait.record("alpha", {"host": OTHER, "user": "eve"})
    servers["alpha"] = alpha
    yield bait
    bait.close()


async def test_recorded_paths_and_servers_are_used_only_after_confirmation(
    servers: FakeServers, bait: Bait, home: Path
) -> None:
    store.keep_applied(Draft({"registry": {"domain": "registry.example.test"}, "mine": True}))
    with watched(bait.port) as seen:
        async with opened(servers, size=(120, 40), servers_read=(("alpha",), "")) as wizard:
            await wizard.see("Other servers", f"eve@{OTHER}", "Only alpha")
            await wizard.press("escape")  # opens nothing
            assert wizard.app.session is None
            await wizard.press("c")
            await wizard.type("alpha")
            await wizard.press("enter", "enter")
            await wizard.see("Other servers")
            await wizard.press("enter")  # the careful one
            await wizard.see("Dashboard", "2.8.231m[red]", f"○ eve@{OTHER}", "not connected to")
            session = wizard.app.session
            assert session is not None
            await wizard.press("l")
            await wizard.see("Logs")
            await wizard.press("escape")
            await wizard.see("Dashboard", f"○ eve@{OTHER}")
            await wizard.press("u")
            await wizard.see("1 user", OTHER)
            await wizard.press("escape")
            await wizard.see("Dashboard", f"○ eve@{OTHER}")
            await wizard.press("v")
            await wizard.see("Confirm these settings", "Hook 1, Script", f"127.0.0.1:{bait.port}")
            await wizard.press("enter")  # leaves them out
            await wizard.see("· Review", "Certificate", "Script")
            plain = session.draft.without_secrets()
    assert seen == []
    assert bait.is_untouched
    assert set(servers) == {"alpha"}
    assert plain["servers"] == [{"host": "alpha"}]
    assert "baited" not in str(plain)
    assert "command" not in str(plain)
    assert {"name": "ci", "password": {"generate": True}} in plain["credentials"]["users"]  # type: ignore[index]
    # A record does not replace what this machine knows was applied.
    known = store.last_applied("registry.example.test")
    assert known is not None
    assert known.get("mine") is True


async def test_confirmed_paths_and_servers_are_used(servers: FakeServers, bait: Bait) -> None:
    with watched(bait.port) as seen:
        async with opened(
            servers, size=(120, 40), servers_read=(("root@alpha:2222",), "")
        ) as wizard:
            await wizard.see("Other servers")
            await wizard.press("tab", "enter")
            await wizard.see("Dashboard", OTHER)
            await wizard.until(lambda: set(servers) == {"alpha", OTHER}, "both are read")
            assert seen == []
            await wizard.press("s")
            await wizard.see("Confirm these settings", f"127.0.0.1:{bait.port}")
            await wizard.press("tab", "enter")
            await wizard.see("Where should the registry run?")
            session = wizard.app.session
            assert session is not None
            draft = session.draft
    assert draft.problems == ()
    assert draft.get("hooks[0].script") == str(bait.path("hook.sh"))
    assert draft.get("dns.provider") == "rfc2136"
    assert draft.get("dns.rfc2136.key") == {"prompt": True}
    assert draft.get("servers") == [
        {"host": "alpha", "user": "root", "port": 2222}, {"host": OTHER, "user": "eve"},
    ]  # fmt: skip
    assert bait.is_untouched
