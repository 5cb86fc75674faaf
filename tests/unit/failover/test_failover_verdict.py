"""When a server counts as down and as up, over simulated time."""

from __future__ import annotations

import pytest

from moorage.failover.verdict import Rules, Verdict, after_check

RULES = Rules(interval=10, fall=2, rise=3)


def _after(verdict: Verdict, answers: str, start: float = 0.0) -> tuple[Verdict, str]:
    """Check once an interval: ``.`` is good, ``x`` bad; returns in and out as I and o."""
    states = ""
    for number, answer in enumerate(answers):
        now = start + number * RULES.interval
        verdict = after_check(verdict, is_good=answer == ".", now=now, rules=RULES)
        states += "I" if verdict.is_in else "o"
    return verdict, states


def test_several_failed_checks_in_a_row_remove_a_server() -> None:
    assert _after(Verdict(True), "..x.x.x.xx")[1] == "IIIIIIIIIo"


def test_several_successful_checks_in_a_row_add_a_server() -> None:
    assert _after(Verdict(False), "..x..x...")[1] == "ooooooooI"


def test_a_new_server_can_need_fewer_checks() -> None:
    assert _after(Verdict(False, needs=1), "x.")[1] == "oI"


def test_a_server_removed_again_soon_waits_twice_as_long() -> None:
    verdict, states = _after(Verdict(True), ("xx" + "." * 60) * 6)

    outages = [len(each) for each in states.strip("I").split("I") if each]
    # The first check of an outage is still in; then fall and rise, times the patience.
    assert outages == [3, 6, 12, 24, 48, 48]
    assert verdict.patience == 16


def test_a_flapping_server_is_added_less_and_less_often() -> None:
    _, states = _after(Verdict(True), "xx..." * 60)

    assert states.count("oI") <= 2, "a record that does not flap"


def test_old_failures_are_forgotten() -> None:
    verdict, _ = _after(Verdict(True), "xx...xx......")
    assert verdict.patience == 2
    later = after_check(verdict, is_good=False, now=5000, rules=RULES)
    later = after_check(later, is_good=False, now=5010, rules=RULES)
    assert (later.is_in, later.patience) == (False, 1)


@pytest.mark.parametrize(("fall", "interval"), [(1, 10), (2, 10), (3, 10), (2, 2), (20, 60)])
def test_a_crash_is_certain_within_two_intervals(fall: int, interval: float) -> None:
    rules = Rules(interval, fall, 3)

    # A check had just begun when it crashed; then one more interval, and the rest in doubt.
    latest = interval + (fall - 1) * rules.pause_in_doubt + rules.timeout

    assert latest <= 2 * interval
