"""How passwords are hashed."""

from __future__ import annotations

import subprocess
import sys

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


_HASHES_IN_THREADS = """
import time
from concurrent.futures import ThreadPoolExecutor

from moorage.answers.secrets import Secret
from moorage.users.passwords import hash_password, verify_password
from passlib.utils import binary

original = binary.LazyBase64Engine._lazy_init


def slowly(engine):
    time.sleep(0.05)
    original(engine)


binary.LazyBase64Engine._lazy_init = slowly
password = Secret("correct horse battery")
with ThreadPoolExecutor(8) as pool:
    hashes = list(pool.map(lambda number: hash_password(password, "sha512"), range(8)))
    assert all(pool.map(lambda each: verify_password(password, each), hashes))
"""


def test_threads_can_hash_the_first_passwords_together() -> None:
    command = [sys.executable, "-c", _HASHES_IN_THREADS]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
