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


def test_it_takes_several_bad_checks_in_a_row_to_go_out() -> None:
    assert _after(Verdict(True), "..x.x.x.xx")[1] == "IIIIIIIIIo"


def test_it_takes_several_good_checks_in_a_row_to_come_in() -> None:
    assert _after(Verdict(False), "..x..x...")[1] == "ooooooooI"


def test_a_new_server_may_need_fewer() -> None:
    assert _after(Verdict(False, needs=1), "x.")[1] == "oI"


def test_one_that_goes_out_again_soon_needs_twice_as_long_each_time() -> None:
    verdict, states = _after(Verdict(True), ("xx" + "." * 60) * 6)

    outages = [len(each) for each in states.strip("I").split("I") if each]
    # The first check of an outage is still in; then fall and rise, times the patience.
    assert outages == [3, 6, 12, 24, 48, 48]
    assert verdict.patience == 16


def test_a_server_that_flaps_fast_enough_to_be_taken_in_is_taken_in_ever_less_often() -> None:
    _, states = _after(Verdict(True), "xx..." * 60)

    assert states.count("oI") <= 2, "a record that does not flap"


def test_what_was_long_ago_is_forgotten() -> None:
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
