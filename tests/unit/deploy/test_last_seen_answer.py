"""When users were last here, from what the servers print."""

from __future__ import annotations

import pytest

from moorage.deploy.last_seen import Seen, merge_seen, parse


def test_times_are_compared_in_one_zone() -> None:
    output = (
        b"ana\t2026-10-25T02:30:00+02:00\t\n"
        b"ana\t2026-10-25T02:10:00+01:00\t2026-03-01T23:00:00-05:00\n"
        b"ana\t2026-10-25T01:05:00+00:00\t2026-03-02T03:59:59+00:00\n"
    )
    assert parse(output) == {"ana": Seen("2026-10-25T01:10:00Z", "2026-03-02T04:00:00Z")}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (b"ana", "ana"),
        (rb"j\xC3\xBCrgen", "jürgen"),
        (rb"a\x22b\x5Cx41", r'a"b\x41'),
        (rb"a\xFF", "a\ufffd"),
        (rb"a\xZZ", r"a\xZZ"),
    ],
)
def test_names_are_read_as_nginx_writes_them(written: bytes, name: str) -> None:
    assert list(parse(written + b"\t2026-01-01T00:00:00+00:00\t\n")) == [name]


@pytest.mark.parametrize("line", [b"", b"ana", b"ana\tb", b"ana\tb\tc\td", b"\xff\xfe"])
def test_lines_in_another_format_are_skipped(line: bytes) -> None:
    assert parse(line + b"\nbob\t2026-01-01T00:00:00+00:00\t\n") == {
        "bob": Seen("2026-01-01T00:00:00Z")
    }


def test_an_invalid_time_counts_as_never() -> None:
    assert parse(b"ana\tyesterday\t\xff\n") == {"ana": Seen()}


def test_the_latest_time_on_any_server_counts() -> None:
    one = {"ana": Seen("2026-01-02T00:00:00Z"), "bob": Seen("2026-01-01T00:00:00Z")}
    two = {"ana": Seen("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")}
    assert merge_seen({"one": one, "two": two}) == {
        "ana": Seen("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        "bob": Seen("2026-01-01T00:00:00Z"),
    }
