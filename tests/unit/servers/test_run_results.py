"""What a run says about its end, by code, as it was before there were codes, and as a lie."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from moorage.deploy.run.report import ADVICE, ADVICE_OF_USERS, ServerReport
from moorage.servers.run_results import REASONS, RunStatus, describe_reason, read_result

_ROOT = Path(__file__).parents[3]
_SHELL = sorted((_ROOT / "templates" / "shell").rglob("*.sh"))
_PROGRAMS = [
    path
    for pattern in ("images/*.py", "deploy/images/bucket*.py")
    for path in (_ROOT / "moorage").glob(pattern)
]
_STOPS = re.compile(r'(?:StopError|_finish|_Result)\(\s*"\w+", "(\w+)"')
_ENDS = re.compile(r"\bfail (?!\$)([a-z0-9_]+)|\bfinish \w+ (\w+)|@result\\t\w+\\t(?!%s)(\w+)")


def test_a_code_and_its_values_become_a_message() -> None:
    result = read_result("failed", ["image_not_pulled", "registry:9", "manifest unknown"])
    assert result.status is RunStatus.FAILED
    assert result.code == "image_not_pulled"
    assert result.message == "the image registry:9 could not be pulled: manifest unknown"


@pytest.mark.parametrize(
    ("code", "values", "message"),
    [
        ("nginx_refuses", ["", ""], "nginx rejects the configuration"),
        ("nginx_refuses", ["no ;"], "nginx rejects the configuration: no ;"),
        ("cannot_write", ["/etc/x", "no space left on /"],
         "/etc/x could not be written: no space left on /"),
        ("cannot_sync", ["no space left on /", "cp did not end within 180 seconds"],
         "the new files could not be written to the disk: no space left on /; cp did not end "
         "within 180 seconds"),
        ("slot_taken", ["blue", "", "unit"],
         "what answers in slot blue is process unknown, which unit did not start"),
        ("hook_failed", ["{1}", "3"], "the hook {1} failed with status 3"),
        ("of_a_newer_version", ["a", "b"], "of_a_newer_version: a; b"),
    ],
)  # fmt: skip
def test_values_without_a_placeholder_are_appended(
    code: str, values: list[str], message: str
) -> None:
    assert describe_reason(code, values) == message


@pytest.mark.parametrize("values", [["apt says no"], ["apt says no", ""]])
def test_a_run_without_codes_is_shown(values: list[str]) -> None:
    result = read_result("failed", values)
    assert (result.code, result.message) == ("run_failed", "apt says no")
    assert read_result("cancelled", ["it was cancelled"]).code == "run_cancelled"


@pytest.mark.parametrize("status", ["", "great", "unchanged", "lost", "running"])
def test_an_unknown_status_is_a_failure(status: str) -> None:
    assert read_result(status, ["no", "luck"]).status is RunStatus.FAILED
    assert read_result(status, []).message == ""


def test_every_code_of_the_shell_has_a_message_and_is_documented() -> None:
    codes = {
        code
        for path in _SHELL
        if path.name != "failover.sh"
        for line in path.read_text("utf-8").splitlines()
        if not line.lstrip().startswith("#")
        for found in _ENDS.findall(line)
        for code in found
        if code
    }
    for path in _PROGRAMS:
        codes |= {*_STOPS.findall(path.read_text("utf-8"))}
    assert codes <= set(REASONS)
    unused = set(REASONS) - codes - {"hook_failed", "hook_timed_out", "run_interrupted"}
    assert not unused
    docs = (_ROOT / "docs" / "command-line.md").read_text("utf-8")
    assert [code for code in REASONS if f"`{code}`" not in docs] == []
    assert [status for status in RunStatus if f"`{status}`" not in docs] == []


def test_advice_is_chosen_by_code() -> None:
    assert set(ADVICE) == set(ADVICE_OF_USERS)
    for advice, words in ((ADVICE, "Plan again."), (ADVICE_OF_USERS, "Try the change again.")):
        report = ServerReport("web", RunStatus.FAILED, "no", "recheck", "r1", "changed_meanwhile")
        problem = report.problem(advice)
        assert problem is not None
        assert problem.advice == f"Its log is /var/lib/moorage/runs/r1/log on the server. {words}"
    image = ServerReport("web", RunStatus.FAILED, "no", code="image_not_pulled").cause
    assert image is not None
    assert "registry.image_archive" in image.fields
    assert ServerReport("web", RunStatus.UNCHANGED).cause is None
