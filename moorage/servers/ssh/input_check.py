"""Check typed connection settings without connecting."""

from __future__ import annotations

from pathlib import Path

from moorage.errors import CannotConnect
from moorage.servers.ssh.config import Hop, SshConfig

_AGENT_TIMEOUT = 0.5
"""Seconds; short, because the operator is waiting."""
_JUMPS = "expected USER@HOST:PORT (user and port are optional); separate several with commas"


def jump_fault(text: str) -> str:
    """Return why a list of jump hosts is invalid, or empty.

    Args:
        text: The list, as in ssh's ProxyJump.
    """
    for each in text.split(","):
        try:
            hop = Hop.parse(each)
        except ValueError:
            return f"{_JUMPS}, not {each.strip()!r}" if each.strip() else _JUMPS
        if hop.port is not None and not 0 < hop.port < 65536:
            return f"the port must be from 1 to 65535, not {hop.port}"
    return ""


def key_fault(text: str, host: str = "") -> str:
    """Return why a file cannot be used as private key, or empty. Reads the file.

    Args:
        text: Its path.
        host: The server, whose ssh configuration can name the agent that holds the key.
    """
    from moorage.servers.ssh.keys import Agent, load_key

    agent = Agent(_agent_of(host), _AGENT_TIMEOUT)
    try:
        load_key(Path(text), agent)
    except CannotConnect as error:
        return error.explain()
    finally:
        agent.close()
    return ""


def _agent_of(host: str) -> str | None:
    try:
        return SshConfig.load().lookup(host).identity_agent if host else None
    except (CannotConnect, OSError):
        return None
