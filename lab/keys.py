"""SSH keys and passwords of lab servers."""

from __future__ import annotations

from pathlib import Path

from lab.process import run_program
from lab.state import LabFolder

ADMIN_PASSWORD = "anchor-chain-7"
"""The password of `admin` on every server, for SSH and sudo."""

KEY_PASSPHRASE = "harbour-bell-9"
"""The passphrase of the encrypted key."""


def plain_key(folder: LabFolder) -> Path:
    """Return the key for root, admin and deploy, which has no passphrase.

    Args:
        folder: The lab's folder.
    """
    return _key(folder, "id_ed25519", "")


def encrypted_key(folder: LabFolder) -> Path:
    """Return the key for admin that is encrypted with KEY_PASSPHRASE.

    Args:
        folder: The lab's folder.
    """
    return _key(folder, "id_ed25519_encrypted", KEY_PASSPHRASE)


def _key(folder: LabFolder, name: str, passphrase: str) -> Path:
    path = folder.keys / name
    with folder.lock("keys"):
        if not path.exists():
            folder.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = folder.keys / f"{name}.new"
            for leftover in (draft, draft.with_name(f"{draft.name}.pub")):
                leftover.unlink(missing_ok=True)
            create_key(draft, passphrase=passphrase, comment="moorage-lab")
            draft.with_name(f"{draft.name}.pub").rename(path.with_name(f"{name}.pub"))
            draft.rename(path)
    return path


def create_key(
    path: Path, *, kind: str = "ed25519", passphrase: str = "", comment: str = "lab"
) -> None:
    """Create an SSH key pair.

    Args:
        path: The private key; the public one is at the same path with `.pub` appended.
        kind: ed25519, ecdsa or rsa.
        passphrase: Encrypts the private key; empty leaves it unencrypted.
        comment: The public key's comment.
    """
    run_program(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", comment, "-f", path],
    )


def public_key(path: Path) -> str:
    """Return a key's line for authorized_keys.

    Args:
        path: The private key.
    """
    return path.with_name(f"{path.name}.pub").read_text(encoding="utf-8").strip()
