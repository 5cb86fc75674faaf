"""nginx's patterns for who may use which repository, against the plain meaning of the rules."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from moorage.desired.render import render
from moorage.desired.users import RegistryUser

_PART = st.text("ab-.", min_size=1, max_size=3)
_NAMES = st.lists(_PART, min_size=1, max_size=5).map("/".join)
_RULES = st.lists(_NAMES | _NAMES.map(lambda name: f"{name}/*"), max_size=6, unique=True)


def _verdict(what: str, value: str, rules: str) -> str:
    """Return what the map in the site says; nginx takes the first pattern that matches."""
    text = render("nginx/access.conf.j2", nginx_etc="/etc/nginx/moorage").decode()
    block = text.split(f"$moorage_{what}_is {{")[1].split("\n}")[0]
    for pattern, verdict in re.findall(r'^    "~(.*)" (\w+);$', block, re.MULTILINE):
        if re.search(pattern, f"{value}|{rules}"):
            return str(verdict)
    return "forbidden"


def _is_theirs(repository: str, rules: tuple[str, ...]) -> bool:
    return not rules or any(
        repository == rule or (rule.endswith("/*") and repository.startswith(rule[:-1]))
        for rule in rules
    )


@run_with(deadline=None, max_examples=300)
@given(_NAMES, _RULES, st.sampled_from(["push", "pull"]))
def test_patterns_match_what_the_rules_mean(repository: str, rules: list[str], may: str) -> None:
    line = RegistryUser("x", "h", may, tuple(rules)).rules  # type: ignore[arg-type]  # a word
    for each in (repository, *(rule.removesuffix("/*") for rule in rules)):
        for name in (each, f"{each}/x", f"x/{each}", f"{each}x"):
            wanted = "allowed" if _is_theirs(name, tuple(rules)) else "forbidden"
            assert _verdict("repository", name, line) == wanted
            assert _verdict("source", name, line) == wanted


def test_paths_that_are_not_repositories_match_no_rule() -> None:
    assert _verdict("repository", "", "push a/*") == "forbidden"
    assert _verdict("source", "?", "push *") == "forbidden"
    assert _verdict("source", "", "pull a") == "allowed"
    assert _verdict("repository", "a", "none") == "forbidden"
