"""How passwords are hashed."""

from __future__ import annotations

from moorage.answers.secrets import Secret
from moorage.users.passwords import BCRYPT_COST as REAL_COST
from moorage.users.passwords import hash_password, verify_password


def test_hashing_is_slow_enough_against_guessing() -> None:
    # Read before a test begins: tests hash at less cost.
    assert REAL_COST == 12


def test_only_the_right_password_matches_its_hash() -> None:
    hashed = hash_password(Secret("harbour-bell-77"))
    assert verify_password(Secret("harbour-bell-77"), hashed)
    assert not verify_password(Secret("harbour-bell-78"), hashed)
