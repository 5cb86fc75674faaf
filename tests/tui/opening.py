"""Opens the wizard in a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fake_server import FakeServers
from wizard_driver import Wizard

from tui.app import WizardApp


@asynccontextmanager
async def opened(
    servers: FakeServers | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    path: Path | None = None,
    prefill: Any = None,
    users: bool = False,
    servers_read: tuple[tuple[str, ...], str] | None = None,
) -> AsyncIterator[Wizard]:
    """Open the wizard, in tests without its large upload."""
    transports = servers if servers is not None else FakeServers()
    app = WizardApp(
        path, prefill=prefill, users=users, servers=servers_read, open_transport=transports.open,
        large_upload=False,
    )  # fmt: skip
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        yield Wizard(app, pilot)
