"""When users were last here, from the indexes of the servers."""

from __future__ import annotations

import pytest

from moorage.deploy.images.activity import Activity, unescaped
from moorage.deploy.users.last_seen import Seen, last_seen
from moorage.errors import MoorageError
from moorage.images.activity import Index

JANUARY = 1767225600


def _index(**users: list[int]) -> Index:
    index = Index()
    index.users = users
    return index


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("ana", "ana"),
        (r"j\xC3\xBCrgen", "jürgen"),
        (r"a\x22b\x5Cx41", r'a"b\x41'),
        (r"a\xFF", "a\ufffd"),
        (r"a\xZZ", r"a\xZZ"),
    ],
)
def test_names_are_read_as_nginx_writes_them(written: str, name: str) -> None:
    assert unescaped(written) == name
    assert list(last_seen(Activity({"one": _index(**{written: [JANUARY, 0]})})).times) == [name]


@pytest.mark.parametrize("at", [0, -(10**15), 10**15, 10**40])
def test_an_impossible_time_counts_as_never(at: int) -> None:
    assert last_seen(Activity({"one": _index(ana=[at, at])})).times == {"ana": Seen()}


def test_the_latest_time_on_any_server_counts() -> None:
    one = _index(ana=[JANUARY + 86400, 0], bob=[JANUARY, 0])
    two = _index(ana=[JANUARY, JANUARY])
    read = last_seen(Activity({"one": one, "two": two}, [MoorageError("is off.", server="three")]))
    assert read.times == {
        "ana": Seen("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        "bob": Seen("2026-01-01T00:00:00Z"),
    }
    assert read.left_out == ("three",)
