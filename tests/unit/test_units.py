from __future__ import annotations

import pytest

from moorage.units import age_text, duration_text, size_text

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (99.94 * 1024, "99.9 KiB"),
        (99.96 * 1024, "100 KiB"),
        (1023.4 * 1024**2, "1023 MiB"),
        (1023.6 * 1024**2, "1.0 GiB"),
        (12.34 * 1024**3, "12.3 GiB"),
        (5000 * 1024**5, "5000 PiB"),
    ],
)
def test_sizes_have_at_most_four_figures(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-100, "just now"),
        (59 * 60, "59 min ago"),
        (3600, "1 h ago"),
        (24 * 3600, "1 day ago"),
        (99 * 24 * 3600, "99 days ago"),
        (100 * 24 * 3600, "2026-10-07"),
        (-1e30, "just now"),
        (1e30, "-"),
    ],
)
def test_ages_are_relative_for_a_hundred_days(seconds: float, text: str) -> None:
    assert age_text(NOW - seconds, NOW) == text


def test_an_unknown_time_is_a_dash() -> None:
    assert age_text(None, NOW) == "-"


def test_durations_in_their_largest_whole_unit() -> None:
    found = [duration_text(each) for each in (0, 1, 90, 5400, 3600, 604800, 86400)]
    assert found == [
        "0 seconds",
        "1 second",
        "90 seconds",
        "90 minutes",
        "1 hour",
        "7 days",
        "1 day",
    ]
