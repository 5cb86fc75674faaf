"""Calls of the command line and what came of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from outcome_of_call import Outcome

PASSWORD = "correct-horse-7"
"""The password of the user ci, in the operator's environment."""


Moorage = Callable[..., Outcome]


def write_answers(path: Path, hosts: list[str], password: str = "{env: CI_PW}") -> Path:
    """Write an answers file.

    Args:
        path: Where.
        hosts: The servers; several of them share an S3 bucket.
        password: The password of the user ci, as YAML.
    """
    servers = "\n".join(f"  - {{host: {host}, user: root}}" for host in hosts)
    storage = "storage: {driver: s3, s3: {bucket: images, region: eu-central-1}}\n"
    path.write_text(
        "version: 1\n"
        "registry: {domain: registry.example.test}\n"
        f"servers:\n{servers}\n"
        "credentials:\n"
        "  users:\n"
        f"    - {{name: ci, access: push, password: {password}}}\n"
        + (storage if len(hosts) > 1 else "")
    )
    return path
