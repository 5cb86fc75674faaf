"""How hard a typed password is to guess, in words: zxcvbn's estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.users.passwords import LONGEST

WORDS = ("very weak", "weak", "fair", "good", "strong")
"""What each score is called."""

WEAK = 2
"""Scores below this are only taken on purpose."""


@dataclass(frozen=True)
class Strength:
    """How hard a password is to guess.

    Attributes:
        score: 0 (guessed at once) to 4 (not guessed from a stolen hash, either).
        word: The score in a word or two; empty for no password.
        advice: What makes it weak and what would help; may be empty.
    """

    score: int
    word: str
    advice: str

    @property
    def is_weak(self) -> bool:
        """Whether it is only taken on purpose."""
        return bool(self.word) and self.score < WEAK

    def __str__(self) -> str:
        return f"{self.word}: {self.advice}" if self.advice else self.word


def estimate(text: str, user_inputs: Sequence[str] = ()) -> Strength:
    """Estimate a password.

    Args:
        text: The password; what bcrypt does not look at does not count.
        user_inputs: Words an attacker tries first: the user's name, the registry's.
    """
    # Half a character at the end is no character.
    text = text.encode("utf-8", "surrogatepass")[:LONGEST].decode("utf-8", "ignore")
    if not text:
        return Strength(0, "", "")
    # Its word lists take about 100 ms to load; nobody who types no password waits for them.
    from zxcvbn import zxcvbn

    found = zxcvbn(text, user_inputs=[each for each in user_inputs if each])
    feedback = found["feedback"]
    score = int(found["score"])
    why = feedback["warning"] or ("It is guessed within moments." if score < WEAK else "")
    sentences = [why, *feedback["suggestions"]]
    return Strength(score, WORDS[score], " ".join(each for each in sentences if each))
