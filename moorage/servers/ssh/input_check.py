"""What is wrong with a way to a server as somebody types it, found without connecting."""

from __future__ import annotations

import stat
from pathlib import Path

from moorage.errors import CannotConnect
from moorage.servers.ssh.config import Hop, SshConfig

_LARGEST_KEY = 1024**2
_PATIENCE_WITH_AGENT = 0.5
"""Seconds; somebody waits beside the field."""
_JUMPS = "wanted: USER@HOST:PORT, where user and port may be missing; several with commas"


def jump_fault(text: str) -> str:
    """Return what is wrong with the machines to go through, or empty.

    Args:
        text: As in ssh's ProxyJump.
    """
    for each in text.split(","):
        try:
            hop = Hop.parse(each)
        except ValueError:
            return f"{_JUMPS}, not {each.strip()!r}" if each.strip() else _JUMPS
        if hop.port is not None and not 0 < hop.port < 65536:
            return f"wanted: a port from 1 to 65535, not {hop.port}"
    return ""


def key_fault(text: str, host: str = "") -> str:
    """Return why a file cannot be the private key to log in with, or empty. Reads it.

    Args:
        text: Its path.
        host: The server, whose ssh configuration may name the agent that holds the key.
    """
    from moorage.servers.ssh.keys import Agent, load_key

    try:
        path = Path(text).expanduser()
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return "wanted: a private key file; that is a folder or a device"
        if about.st_size > _LARGEST_KEY:
            return "wanted: a private key file; that one is too large to be one"
        agent = Agent(_agent_of(host), _PATIENCE_WITH_AGENT)
        try:
            load_key(path, agent)
        finally:
            agent.close()
    except CannotConnect as error:
        return f"{error.message} {error.advice}"
    except (OSError, ValueError, RuntimeError):
        return "wanted: a private key file; there is none of this name"
    return ""


def _agent_of(host: str) -> str | None:
    try:
        return SshConfig.load().lookup(host).identity_agent if host else None
    except (CannotConnect, OSError):
        return None
