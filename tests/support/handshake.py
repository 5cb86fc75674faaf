"""TLS handshakes with openssl."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from operator_at_work import DOMAIN

from lab import LabServer


def handshake(server: LabServer, authority: Path | None = None, *options: str) -> str:
    """Connect with ``openssl s_client`` under the registry's name and return its output.

    Args:
        server: The server.
        authority: The only authority to trust.
        options: Additional options.
    """
    trust = ["-CAfile", str(authority)] if authority is not None else []
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{server.address}:443", "-servername", DOMAIN,
         "-verify_hostname", DOMAIN, "-showcerts", *trust, *options],
        input="", capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return done.stdout + done.stderr


def served_certificate(server: LabServer) -> str:
    """Return the first lines of the served certificate in PEM, which identify it."""
    found = re.search(r"-----BEGIN CERTIFICATE-----\n(.*?)-----END", handshake(server), re.DOTALL)
    return found[1] if found else ""


def next_certificate(server: LabServer, *before: str) -> str:
    """Wait until a server presents a new certificate after a reload, and return it.

    Args:
        server: The server.
        before: Earlier results of :func:`served_certificate`.
    """
    end = time.monotonic() + 10
    while (now := served_certificate(server)) in before and time.monotonic() < end:
        time.sleep(0.1)
    assert now not in before
    return now
