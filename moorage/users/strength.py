"""Estimate password strength with zxcvbn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.users.passwords import MAX_BYTES

WORDS = ("very weak", "weak", "fair", "good", "strong")
"""A word for each score."""

WEAK = 2
"""Scores below this must be accepted explicitly."""


@dataclass(frozen=True)
class Strength:
    """The strength of a password.

    Attributes:
        score: 0 (guessed at once) to 4 (cannot be guessed even from a stolen hash).
        word: The score in a word or two; empty without a password.
        advice: What makes it weak and what would help; may be empty.
    """

    score: int
    word: str
    advice: str

    @property
    def is_weak(self) -> bool:
        """Whether it must be accepted explicitly."""
        return bool(self.word) and self.score < WEAK

    def __str__(self) -> str:
        return f"{self.word}: {self.advice}" if self.advice else self.word


def estimate(text: str, user_inputs: Sequence[str] = ()) -> Strength:
    """Estimate a password's strength.

    Args:
        text: The password; the part that bcrypt ignores is not counted.
        user_inputs: Words an attacker tries first: the user's name, the registry's.
    """
    # The cut can split the last character, which is then dropped.
    text = text.encode("utf-8", "surrogatepass")[:MAX_BYTES].decode("utf-8", "ignore")
    if not text:
        return Strength(0, "", "")
    # Its word lists take about 100 ms to load, so load them only when they are needed.
    from zxcvbn import zxcvbn

    found = zxcvbn(text, user_inputs=[each for each in user_inputs if each])
    feedback = found["feedback"]
    score = int(found["score"])
    why = feedback["warning"] or ("It can be guessed within moments." if score < WEAK else "")
    sentences = [why, *feedback["suggestions"]]
    return Strength(score, WORDS[score], " ".join(each for each in sentences if each))
