"""How passwords are hashed."""

from __future__ import annotations

from moorage.answers.secrets import Secret
from moorage.users.passwords import BCRYPT_COST as REAL_COST
from moorage.users.passwords import hash_password, verify_password


def test_a_hash_takes_somebody_who_guesses_long() -> None:
    # Read before a test begins: tests hash at less cost.
    assert REAL_COST == 12


def test_the_password_and_no_other_fits_its_hash() -> None:
    hashed = hash_password(Secret("harbour-bell-77"))
    assert verify_password(Secret("harbour-bell-77"), hashed)
    assert not verify_password(Secret("harbour-bell-78"), hashed)
