"""A server's identity: its hostname, host keys and authorized keys."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from lab import apt, keys

HOST_KEY_KINDS = ("ed25519", "ecdsa")
USER_IDS = {"root": 0, "admin": 1000, "deploy": 1001}


def write_identity(
    root: Path,
    *,
    hostname: str,
    host_keys: Path,
    user_keys: Sequence[Path],
    admin_keys: Sequence[Path],
) -> None:
    """Write a server's identity into its filesystem, before it boots.

    Args:
        root: The server's root folder.
        hostname: Its hostname.
        host_keys: Folder for its SSH host keys; filled on first use.
        user_keys: Private keys that can log in as root and deploy.
        admin_keys: Private keys that can log in as admin.
    """
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n", encoding="utf-8")
    (root / "etc/hostname").write_text(f"{hostname}\n", encoding="utf-8")
    hosts = [
        "127.0.0.1 localhost",
        f"127.0.1.1 {hostname}",
        "::1 localhost ip6-localhost ip6-loopback",
        *apt.mirror_hosts_lines(),
    ]
    (root / "etc/hosts").write_text("\n".join(hosts) + "\n", encoding="utf-8")
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.write_text(_machine_resolver(), encoding="utf-8")
    _write_host_keys(root, host_keys)
    for user, number in USER_IDS.items():
        home = root / ("root" if user == "root" else f"home/{user}")
        opened_by = admin_keys if user == "admin" else user_keys
        _authorize(home, number, [keys.public_key(key) for key in opened_by])


def _machine_resolver() -> str:
    """Return the machine's resolv.conf, but not one that points to a local resolver."""
    behind_stub = Path("/run/systemd/resolve/resolv.conf")
    path = Path("/etc/resolv.conf")
    text = path.read_text("utf-8", errors="replace")
    if "127.0.0.53" in text and behind_stub.exists():
        return behind_stub.read_text("utf-8", errors="replace")
    return text


def _write_host_keys(root: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for kind in HOST_KEY_KINDS:
        key = folder / f"ssh_host_{kind}_key"
        if not key.exists():
            keys.create_key(key, kind=kind, comment="root@lab")
        for path in (key, key.with_name(f"{key.name}.pub")):
            shutil.copy2(path, root / "etc/ssh" / path.name)


def host_public_keys(folder: Path) -> list[str]:
    """List a server's public host keys, as `KIND BASE64`.

    Args:
        folder: Where its host keys are kept.
    """
    lines = [keys.public_key(folder / f"ssh_host_{kind}_key") for kind in HOST_KEY_KINDS]
    return [" ".join(line.split()[:2]) for line in lines]


def _authorize(home: Path, number: int, lines: Sequence[str]) -> None:
    folder = home / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "authorized_keys"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    for owned in (folder, path):
        os.chown(owned, number, number)
