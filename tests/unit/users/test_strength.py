"""How hard typed passwords are to guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.users.passwords import generate_password
from moorage.users.strength import estimate


@pytest.mark.parametrize("text", ["password", "aaaaaaaaaaaaaaaa", "12345678", "qwertyuiop"])
def test_weak_passwords_are_recognized(text: str) -> None:
    strength = estimate(text)

    assert strength.is_weak
    assert strength.word == "very weak"
    assert strength.advice


def test_a_generated_password_is_strong() -> None:
    strength = estimate(generate_password().reveal())

    assert (strength.score, str(strength)) == (4, "strong")


def test_known_words_add_no_strength() -> None:
    words = ["anabel", "registry.example.com"]

    assert (
        estimate("registry.example.com-anabel", words).score
        < estimate("registry.example.com-anabel").score
    )


def test_an_empty_password_has_no_strength() -> None:
    assert str(estimate("")) == ""


def test_characters_beyond_bcrypts_limit_add_no_strength() -> None:
    assert estimate("a" * 72 + "gravel-lantern-19-otter").is_weak


@given(st.text(max_size=100))
def test_any_text_never_raises(text: str) -> None:
    assert 0 <= estimate(text, [text[:3], ""]).score <= 4
