"""What was applied is on the list the wizard starts with."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import PASSWORD, Moorage
from fake_server import FakeServers

from moorage.recents import applied_file, recents

APPLY = ("--yes", "--no-verify")


@pytest.mark.usefixtures("servers")
def test_an_apply_puts_the_deployment_on_the_wizards_list(
    moorage: Moorage, answers_file: Path
) -> None:
    assert moorage("apply", str(answers_file), *APPLY).code == 0

    (recent,) = recents()
    assert recent.path == str(answers_file)
    assert (recent.domain, recent.state) == ("registry.example.test", "applied")
    kept = applied_file(recent.domain).read_text()
    assert "one.example.test" in kept
    assert PASSWORD not in kept


def test_a_failed_apply_is_not_on_the_wizards_list(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers["one.example.test"].result = "@result\tfailed\tno luck\n"

    assert moorage("apply", str(answers_file), *APPLY).code != 0

    assert recents() == []


@pytest.mark.usefixtures("servers")
def test_an_apply_never_fails_because_of_the_wizards_list(
    moorage: Moorage, answers_file: Path, home: Path
) -> None:
    (home / "state" / "recents.json").mkdir(parents=True)
    (home / "state" / "applied").write_text("in the way")

    outcome = moorage("apply", str(answers_file), *APPLY)

    assert outcome.code == 0
    assert "recents" not in outcome.stdout + outcome.stderr
