from __future__ import annotations

import base64
import json
import shlex
import time
import traceback
import urllib.parse

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from patience import slowness

from moorage.answers.redact import Redactor
from moorage.answers.secrets import MASK, Secret

HARD = "pä$s'w\"o\\rd &+/=%\t€"


def redactor(*secrets: str) -> Redactor:
    made = Redactor()
    made.add(*(Secret(each) for each in secrets))
    return made


@pytest.mark.parametrize(
    "written",
    [
        HARD,
        repr(HARD),
        repr(HARD.encode()),
        json.dumps({"a": HARD}),
        json.dumps({"a": HARD}, ensure_ascii=False),
        yaml.safe_dump({"a": "x: " + HARD.replace("\t", "")}).replace("x: ", ""),
        shlex.quote(HARD),
        urllib.parse.quote(HARD),
        urllib.parse.quote(HARD, safe=""),
        urllib.parse.quote_plus(HARD),
        urllib.parse.quote(HARD, safe="").lower(),
    ],
)
def test_a_secret_is_found_however_it_is_quoted(written: str) -> None:
    secret = HARD if "\\t" in written or "\t" in written or "%09" in written else None
    made = redactor(secret or HARD.replace("\t", ""))
    shown = made.redact(f"before {written} after")
    assert MASK in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    for part in ("rd &", "rd+%26", "rd%20", "w\\", "w'"):
        assert part not in shown


@given(st.text(max_size=9), st.text(max_size=9))
def test_a_secret_is_found_inside_base64(before: str, after: str) -> None:
    secret = "correct horse battery"
    plain = f"{before}:{secret}:{after}".encode(errors="replace")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = redactor(secret).redact(f"Authorization: Basic {encode(plain).decode()}")
        assert MASK in shown
        assert "b3JzZS" not in shown  # "orse" at one of the three cuts
        assert "9yc2" not in shown


def test_a_multi_line_secret_is_found_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nshort\n-----END KEY-----\n"
    shown = redactor(key).redact("log: MIIEvQIBADANBgkqhkiG9w0\nshort")
    assert shown == f"log: {MASK}\nshort"


def test_the_longer_of_two_overlapping_secrets_is_redacted_whole() -> None:
    assert redactor("hunter2", "hunter2-long").redact("x hunter2-long y") == f"x {MASK} y"


def test_a_short_secret_is_redacted_only_as_a_value() -> None:
    made = redactor("abc", "1")
    assert made.redact("abcdef is not abc") == "abcdef is not abc"
    assert made.redact("password=abc, pin: 1, '1'") == f"password={MASK}, pin: {MASK}, '{MASK}'"
    assert made.redact("10 of 11 done at 12:15") == "10 of 11 done at 12:15"


@pytest.mark.parametrize("written", [
    "test", "ci:test@host", "'test'", "key=test", r"\ntest\n", "u%3Atest%40h", "s_test1",
])  # fmt: skip
def test_a_secret_that_is_a_word_is_not_masked_inside_others(written: str) -> None:
    text = "Writing and testing nginx's files: latest"
    assert redactor("test").redact(f"{text} {written}") == f"{text} {written.replace('test', MASK)}"


def test_an_empty_secret_changes_nothing() -> None:
    assert redactor("").redact("text") == "text"
    assert Redactor().redact("text") == "text"


def test_a_traceback_shows_no_secret() -> None:
    made = redactor("hunter2-hunter2")
    try:
        raise ValueError("wrong password 'hunter2-hunter2'")
    except ValueError:
        assert "hunter2" not in made.redact(traceback.format_exc())


def test_secrets_can_be_added_later() -> None:
    made = redactor("first-secret")
    assert made.redact("second-secret") == "second-secret"
    made.add("second-secret")
    assert made.redact("first-secret second-secret") == f"{MASK} {MASK}"


def test_twenty_thousand_lines_take_less_than_a_second() -> None:
    made = redactor(*(f"s3cret-{number:02}-{'x' * number}/+'" for number in range(25)))
    lines = [
        f"2026-01-01T00:00:{number % 60:02} Setting up libnginx-mod-http-js:amd64 {number}"
        for number in range(20_000)
    ]
    made.redact("")
    start = time.process_time()
    for line in lines:
        made.redact(line)
    assert time.process_time() - start < 1 * slowness()
