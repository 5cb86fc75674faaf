"""The addresses of a draft's servers."""

from __future__ import annotations

import contextlib

from moorage.errors import MoorageError
from moorage.servers.ssh.config import SshConfig
from tui.document.draft import Draft


def public_addresses(draft: Draft) -> dict[str, str]:
    """Return each server's public address by label: the one in the answers, or ssh's HostName."""
    try:
        config = SshConfig.load()
    except (MoorageError, OSError):
        config = None
    found = {}
    for server in draft.items("servers"):
        label = str(server.get("host", ""))
        address = str(server.get("address") or "")
        if not address and server.get("connection") != "local":
            address = label
            with contextlib.suppress(MoorageError):
                address = config.lookup(label).hostname if config and label else label
        if label and address:
            found[label] = address
    return found
