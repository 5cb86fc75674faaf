"""The result of a run, as upgrade and rollback print it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from moorage.cli.output import Output
from moorage.cli.run_plan import print_result
from moorage.cli.runner import Runner
from moorage.deploy.operations import Outcome
from moorage.deploy.plan.plan import Plan
from moorage.deploy.run.report import ApplyReport, ServerReport
from moorage.servers.run_results import RunStatus


def _result(status: RunStatus, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    report = ApplyReport((ServerReport("alpha", status),), {}, revision=3)
    runner = SimpleNamespace(output=Output(), main_thread=SimpleNamespace(is_interrupted=False))
    code = print_result(
        cast(Runner, runner),
        cast(Plan, None),
        Outcome(report, done_text="Rolled back to revision 1."),
        {},
    )
    return code, capsys.readouterr().out.splitlines()


def test_the_last_line_is_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = _result(RunStatus.DONE, capsys)
    assert (code, lines[-1]) == (0, "Rolled back to revision 1.")


def test_a_failure_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = _result(RunStatus.FAILED, capsys)
    assert code == 1
    assert "Rolled back to revision 1." not in lines
