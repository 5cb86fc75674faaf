"""The result of a verification: what was not checked is not taken for good."""

from __future__ import annotations

from moorage.cli.report_view import verification_as_json, verification_lines
from moorage.deploy.events import CheckStatus
from moorage.deploy.verify.verify import Check, Verification

GOOD = Check("web1", "certificate", "certificate", CheckStatus.GOOD, "trusted")
LOGIN = Check("web1", "login", "log in", CheckStatus.SKIPPED, "no password is known")
PUSH = Check("web1", "push", "push", CheckStatus.SKIPPED, "no password is known")
OTHER_LOGIN = Check("web2", "login", "log in", CheckStatus.SKIPPED, "no password is known")


def _text(verification: Verification) -> str:
    return "\n".join(
        "".join(part if isinstance(part, str) else part[0] for part in line)
        for line in verification_lines(verification)
    )


def test_skipped_checks_are_named() -> None:
    verification = Verification((GOOD, LOGIN, PUSH, OTHER_LOGIN))

    assert verification.is_good
    assert verification.not_checked == {"login": "log in", "push": "push"}
    assert _text(verification).endswith(
        "! Verification incomplete. Not checked: log in, push (no password is known)."
    )
    # The reason stands once for each server.
    *table, _ = _text(verification).splitlines()
    assert [line.count("no password is known") for line in table] == [0, 1, 1]
    assert "log in, push" in table[1]
    as_json = verification_as_json(verification)
    assert (as_json["verification"], as_json["not_checked"]) == ("incomplete", ["login", "push"])


def test_a_complete_verification_has_nothing_to_add() -> None:
    verification = Verification((GOOD,))

    assert verification.not_checked == {}
    assert "Not checked" not in _text(verification)
    as_json = verification_as_json(verification)
    assert (as_json["verification"], as_json["not_checked"]) == ("passed", [])


def test_the_columns_of_the_checks_fit_long_names() -> None:
    long = "upload started on 203.0.113.254, finished here"
    checks = [GOOD, Check("web1", "upload", long, CheckStatus.GOOD, "done"), LOGIN, PUSH]
    *table, _ = _text(Verification(tuple(checks))).splitlines()
    names = ("certificate", long, "log in")
    assert len({line.index(name) for line, name in zip(table, names, strict=True)}) == 1
    assert len({line.index(" s ") for line in table}) == 1
