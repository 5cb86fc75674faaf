"""What a server sends in place of a probe's answer costs neither memory nor an unexpected error."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable

import pytest

from moorage.desired import layout
from moorage.errors import MoorageError
from moorage.servers.facts import Facts
from moorage.servers.probe import parse

TEXT = "clock\t1700000100\n"


def _facts(archive: bytes) -> Facts:
    return parse("liar", TEXT, archive, 1700000000.0, layout.MANAGED)


def _member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def _with_size(header: bytes, field: bytes) -> bytes:
    """Return a header with another size in it, and the checksum to it."""
    changed = header[:124] + field + header[136:148] + b" " * 8 + header[156:]
    total = sum(changed)
    return changed[:148] + b"%06o\0 " % total + changed[156:]


def test_only_requested_files_are_read() -> None:
    buffer = io.BytesIO()
    names = [
        "etc/moorage/deployment.json", "etc/nginx/moorage/htpasswd", "etc/shadow",
        "../etc/moorage/x", "etc/moorage/hooks/../../passwd", "etc/moorage-other",
    ]  # fmt: skip
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))

    facts = _facts(buffer.getvalue())

    assert set(facts.files) == {"/etc/moorage/deployment.json", "/etc/nginx/moorage/htpasswd"}


def test_links_are_compared_by_target_and_never_followed() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in (("etc/nginx/moorage/a", tarfile.SYMTYPE),
                           ("etc/nginx/moorage/b", tarfile.LNKTYPE)):  # fmt: skip
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "/etc/passwd"
            tar.addfile(link)

    facts = _facts(buffer.getvalue())

    assert {file.content for file in facts.files.values()} == {b"/etc/passwd"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: _with_size(_member("etc/moorage/x"), b"77777777777\0"),
        lambda: _with_size(_member("etc/moorage/x"), b"\xff" * 10 + b"\xfc\x00"),
        lambda: _sparse(2**42),
        lambda: _member("x", 1024, tarfile.XHDTYPE) * 5000,
    ],
    ids=["huge", "negative", "sparse", "chained"],
)
def test_members_with_impossible_sizes_are_an_error(make: Callable[[], bytes]) -> None:
    with pytest.raises(MoorageError, match="archive is damaged"):
        _facts(make() + bytes(10240))


def _sparse(size: int) -> bytes:
    """Return a file of holes, in GNU's old format."""
    header = bytearray(_member("etc/moorage/x", 0, b"S"))
    header[386:410] = b"%011o\0%011o\0" % (0, 0)
    header[483:495] = b"\x80" + bytes(3) + struct.pack(">Q", size)
    return _with_size(bytes(header), b"00000000000\0")


@pytest.mark.parametrize("time", ["nan", "inf", "-1", "1e300", "9" * 5000, "x"])
def test_times_beyond_any_date_are_rejected(time: str) -> None:
    with pytest.raises(ValueError, match=r"time|float"):
        parse("liar", f"clock\t{time}\n", b"", 0.0)
    with pytest.raises(ValueError, match=r"time|float"):
        parse("liar", f"{TEXT}run\tid\tno\t{time}\tdrain\tdone\t\n", b"", 0.0)
