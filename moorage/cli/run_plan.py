"""Run a confirmed plan, check the registry, and print the result: apply, upgrade and rollback."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.answers.model import Answers
    from moorage.cli.output import Output
    from moorage.cli.runner import Runner
    from moorage.deploy.operations import Outcome
    from moorage.deploy.plan.plan import Plan

_Function = TypeVar("_Function", bound=Callable[..., Any])
_CANCELLING = (
    "Cancelling: each server stops before its next step and restores its files and services; "
    "installed packages stay. Servers that have already switched stay switched. "
    "Press Ctrl-C again to exit without waiting."
)


def check_options(function: _Function) -> _Function:
    """Add ``--no-verify`` and ``--skip-large-upload``."""
    for option in (
        click.option("--skip-large-upload", is_flag=True,
                     help="Skip the check that uploads over 100 MB."),
        click.option("--no-verify", is_flag=True,
                     help="Skip the checks of the registry from outside."),
    ):  # fmt: skip
        function = option(function)
    return function


def run_plan(runner: Runner) -> Outcome:
    """Run the plan; Ctrl-C cancels it.

    Args:
        runner: The open deployment, with a confirmed plan.

    Raises:
        WasInterruptedError: Ctrl-C was pressed twice.
    """
    from moorage.cli.errors import WasInterruptedError

    def cancel() -> None:
        runner.message(_CANCELLING)
        runner.operations.abort()

    try:
        return runner.run(runner.operations.run, cancel)
    except WasInterruptedError as error:
        raise WasInterruptedError(
            "Interrupted twice: Moorage told the servers to stop, but did not wait for them.",
            advice="'moorage status FILE --follow' shows their progress or result.",
        ) from error


def check_registry(runner: Runner, *, verifies: bool, large_upload: bool) -> Outcome:
    """After a run that was not interrupted, verify the registry and update its DNS records.

    Args:
        runner: The open deployment.
        verifies: Whether to verify it.
        large_upload: Whether the checks send over 100 MB to each server.
    """
    operations = runner.operations
    if runner.main_thread.is_interrupted:
        assert operations.outcome is not None
        return operations.outcome
    return runner.run(
        lambda: operations.finish(verifies=verifies, large_upload=large_upload),
        operations.skip_checks,
    )


def exit_code_of(runner: Runner, outcome: Outcome) -> ExitCode:
    """Return the command's exit code."""
    return ExitCode.INTERRUPTED if runner.main_thread.is_interrupted else outcome.exit_code


def update_file(output: Output, file: Path, before: Answers, outcome: Outcome) -> Path | None:
    """Write the answers after a run into the answers file; a failure is only a warning.

    Args:
        output: The output.
        file: The answers file.
        before: Its answers before the run.
        outcome: The result of the run.

    Returns:
        The copy of the file as it was, if the run replaces answers that were not applied.
    """
    from moorage.answers.amend import LOST_COMMENTS, amend, lost_comments
    from moorage.answers.load import loads, read_answers_text
    from moorage.answers.save import copy_before, save_text
    from moorage.errors import MoorageError

    report, answers = outcome.report, outcome.answers
    if report is None or answers is None or not report.revision or not file.is_file():
        return None
    copy = copy_before(file, report.revision) if outcome.replaced else None
    try:
        text = read_answers_text(file)
        if loads(text) != before:
            raise MoorageError("it was changed meanwhile.")
        written = amend(text, answers.model_copy(update={"based_on": report.revision}))
        if copy is not None:
            save_text(text, copy)
        save_text(written, file)
    except (MoorageError, OSError, ValueError) as error:
        output.message(
            ("Warning: ", "bold yellow"),
            f"{file} was not updated: {error} Applying it may undo this.",
        )
        return None
    kept = "" if copy is None else f" {copy} is its copy from before."
    output.message(f"Updated {file}.{kept}" + f" {LOST_COMMENTS}" * lost_comments(text, written))
    return copy


def print_result(runner: Runner, plan: Plan, outcome: Outcome, values: dict[str, object]) -> int:
    """Print the result of each server and of the checks, and return the exit code.

    Args:
        runner: The open deployment.
        plan: The plan.
        outcome: Its result.
        values: What the command adds with ``--json``.
    """
    from moorage.cli import report_view

    report, checks, output = outcome.report, outcome.verification, runner.output
    assert report is not None
    code = exit_code_of(runner, outcome)
    if output.as_json:
        output.emit(
            {
                "event": "result",
                "exit_code": int(code),
                "summary": plan.summary,
                **values,
                "revision": report.revision or None,
                "servers": report_view.report_as_json(report),
                **report_view.verification_as_json(checks),
            }
        )
        return code
    for line in report_view.report_lines(report):
        output.data(*line)
    if checks is not None:
        output.data("")
        for line in report_view.verification_lines(checks):
            output.data(*line)
    if code == ExitCode.DONE and report.revision:
        output.data("")
        output.data((outcome.done_text, "bold"))
    return code
