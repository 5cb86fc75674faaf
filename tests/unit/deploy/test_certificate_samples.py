"""What is said about certificate files, compared with a handshake by OpenSSL."""

from __future__ import annotations

import re
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from certificate_samples import DOMAIN, SAMPLES, STRICTER, Sample

from moorage.desired.certificates import find_faults

CONVERTED = {
    "byte order mark": "certificate", "UTF-16": "certificate", "PKCS #7": "certificate",
    "PKCS #7 in DER": "certificate", "joined": "certificate", "indented": "certificate",
    "DER key": "key", "OpenSSH key": "key", "encrypted key": "key",
}  # fmt: skip
"""Samples that are good once the line in the message has converted this file."""


@pytest.mark.parametrize("name", SAMPLES)
def test_every_file_is_accepted_or_refused_for_this_reason(name: str) -> None:
    sample = SAMPLES[name].make()
    codes = [code for code, _ in find_faults(sample.certificate, sample.key, DOMAIN)]

    assert codes == list(SAMPLES[name].codes)


@pytest.mark.parametrize("name", SAMPLES)
def test_openssl_says_the_same(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name].make()
    is_good = not list(find_faults(sample.certificate, sample.key, DOMAIN))

    assert _shakes_hands(sample, tmp_path) == (is_good or name in STRICTER)


@pytest.mark.parametrize("name", CONVERTED)
def test_the_line_in_the_message_converts_the_file(name: str, tmp_path: Path) -> None:
    sample, which = SAMPLES[name].make(), CONVERTED[name]
    [(_, sentence)] = find_faults(sample.certificate, sample.key, DOMAIN)
    content = sample.certificate if which == "certificate" else sample.key
    (tmp_path / "FILE").write_bytes(content)
    (tmp_path / "FILE").chmod(0o600)
    (tmp_path / "NEW").write_bytes(b"")
    programs = r"(?:'|\(|: )((?:openssl|iconv|tail|awk|sed|ssh-keygen) .*?)"
    found = re.search(programs + r"('? (?:converts|removes)|\)?\.$)", sentence)
    assert found, sentence
    line = found[1].replace("-in KEY", "-in FILE -passin pass:passphrase")
    if line.startswith("ssh-keygen"):
        line += " -N '' && cp FILE NEW"
    subprocess.run(["sh", "-ec", line], cwd=tmp_path, check=True, capture_output=True)

    new = (tmp_path / "NEW").read_bytes()
    pair = (new, sample.key) if which == "certificate" else (sample.certificate, new)
    codes = {code for code, _ in find_faults(*pair, DOMAIN)}
    # PKCS #7 has no order.
    is_unordered = name.startswith("PKCS") and "wrong_order" in codes
    assert is_unordered or not codes


def _shakes_hands(sample: Sample, folder: Path) -> bool:
    """Return whether OpenSSL loads the files, and a client that has the root trusts them."""
    for part in ("certificate", "key", "root"):
        (folder / part).write_bytes(getattr(sample, part))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        # As on Debian and Ubuntu; Python's own settings are about as strict.
        context.set_ciphers("DEFAULT:@SECLEVEL=2")
    client.hostname_checks_common_name = False  # as in Go, and so in Docker
    client.load_verify_locations(folder / "root")
    ends = [ssl.MemoryBIO() for _ in range(4)]
    try:
        server.load_cert_chain(folder / "certificate", folder / "key", lambda: "")
        theirs = server.wrap_bio(ends[0], ends[1], server_side=True)
        ours = client.wrap_bio(ends[2], ends[3], server_hostname=DOMAIN)
        for _ in range(6):
            for side in (ours, theirs):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
                ends[0].write(ends[3].read())
                ends[2].write(ends[1].read())
    except (ssl.SSLError, OSError):
        return False
    return ours.version() is not None and ours.getpeercert() is not None
