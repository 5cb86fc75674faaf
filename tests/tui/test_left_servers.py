"""Servers that left: the dashboard lists them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer, FakeServers, some_user
from opening import opened
from wizard_driver import SIZES

from moorage.answers.save import save
from moorage.desired import layout
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
