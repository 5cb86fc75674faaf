"""How fast images grow, and when the disk is full."""

from __future__ import annotations

import pytest

from moorage.deploy.images.space import growth_text
from moorage.images.growth import Growth, growth_of
from moorage.images.tree import File, Tree, TreeBuilder

DAY = 24 * 3600.0
NOW = 1_800_000_000.0
GIB = 1024**3


def tree(*blobs: tuple[float, int]) -> Tree:
    """Return a tree with blobs of an age in days and a size."""
    files = (File(NOW, NOW - age * DAY, size) for age, size in blobs)
    return Tree(blobs={f"sha256:{number}": file for number, file in enumerate(files)})


def test_what_was_written_in_30_days_is_the_rate() -> None:
    growth = growth_of(tree((400, 50 * GIB), (31, GIB), (29, 20 * GIB), (1, 10 * GIB)), NOW)
    assert growth == Growth(30 * GIB, 30 * DAY)
    assert growth.per_day == GIB
    assert growth.days_until_full(90 * GIB) == 90


def test_the_day_on_which_a_store_was_filled_does_not_count() -> None:
    growth = growth_of(tree((11, 500 * GIB), (10.5, 500 * GIB), (5, 10 * GIB)), NOW)
    assert growth == Growth(10 * GIB, 10 * DAY)


@pytest.mark.parametrize("blobs", [(), ((0.1, GIB),), ((2.9, GIB), (1, GIB))])
def test_a_store_that_is_too_young_has_no_rate(blobs: tuple[tuple[float, int], ...]) -> None:
    assert growth_of(tree(*blobs), NOW) is None


def test_absurd_times_and_sizes_do_not_count() -> None:
    absurd = [(float("nan"), GIB), (float("inf"), GIB), (float("-inf"), GIB), (-3e9, GIB), (5, -9)]
    assert growth_of(tree(*absurd, (40, GIB)), NOW) == Growth(0, 30 * DAY)


@pytest.mark.parametrize(
    ("growth", "free", "text"),
    [
        (None, GIB, "Growth not known yet: it takes three days of pushes."),
        (Growth(0, 30 * DAY), GIB, "Nothing new was stored in the last 30 days."),
        (Growth(30 * GIB, 30 * DAY), None, "Growing by 1.0 GiB a day over the last 30 days."),
        (Growth(30 * GIB, 30 * DAY), 62 * GIB,
         "Growing by 1.0 GiB a day over the last 30 days; the disk is full in 62 days at this "
         "rate."),
        (Growth(30 * GIB, 30 * DAY), GIB // 2,
         "Growing by 1.0 GiB a day over the last 30 days; the disk is full within a day at this "
         "rate."),
        (Growth(GIB, 30 * DAY), 1000 * GIB,
         "Growing by 34.1 MiB a day over the last 30 days; the disk is not full for years at this "
         "rate."),
    ],
)  # fmt: skip
def test_growth_in_words(growth: Growth | None, free: int | None, text: str) -> None:
    assert growth_text(growth, free) == text


@pytest.mark.parametrize(
    "figures", ["nan 1 1", "1 inf 1", "1 -inf 1", f"1 1 {'9' * 400}", "1e300 1 1"]
)
def test_a_listing_with_figures_that_cannot_be_counted_with_is_none(figures: str) -> None:
    with pytest.raises(ValueError, match="absurd"):
        TreeBuilder().add_listing(f"{figures} blobs/sha256/aa/{'a' * 64}/data".encode())
