"""Open the deployment whose images a command changes, and run the change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.errors import explain
from moorage.cli.users.open_users import Arguments, parse_arguments
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.cli.runner import Runner
    from moorage.deploy.images.activity import Activity
    from moorage.deploy.images.read import ImagesRead
    from moorage.deploy.images.run import ImagesChange
    from moorage.deploy.plan.store import Store
    from moorage.images.space import Reclaimable
    from moorage.images.task import Task

_Function = TypeVar("_Function", bound=Callable[..., Any])
NAMES = "REPOSITORY[:TAG]..."
_CANCELLING = (
    "Cancelling: what has been moved to the trash stays there, nothing more is moved. "
    "Press Ctrl-C again to exit without waiting."
)


def change_options(function: _Function) -> _Function:
    """Add ``--yes`` and ``--dry-run``; see :func:`check_can_confirm` and :func:`run_change`."""
    yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
    dry_run = click.option(
        "--dry-run",
        is_flag=True,
        help="Show the plan only. Exits with 3 if there is something to do.",
    )
    decorated: _Function = yes(dry_run(function))
    return decorated


def check_can_confirm(output: Output, *, yes: bool, dry_run: bool, what: str) -> None:
    """Check that the operator can be asked, has passed ``--yes``, or wants the plan only.

    Args:
        output: The output.
        yes: Whether ``--yes`` was passed.
        dry_run: Whether ``--dry-run`` was passed.
        what: What is done with ``--yes``, such as "delete the images".

    Raises:
        WrongUsageError: None of them.
    """
    from moorage.cli.confirmation import require_confirmation

    advice = f"Add --yes to {what} without being asked, or --dry-run to see the plan only."
    require_confirmation(output, yes or dry_run, advice)


def parse_names(context: click.Context, options: dict[str, Any]) -> Arguments:
    """Return the arguments of a command whose names can be left out.

    Args:
        context: The command's context.
        options: The command's options; these arguments are removed from them.
    """
    has_names = len(options["words"]) > (0 if options["addresses"] else 1)
    return parse_image_arguments(context, options, *([NAMES] if has_names else []))


def parse_image_arguments(
    context: click.Context, options: dict[str, Any], *names: str
) -> Arguments:
    """Return a command's arguments; see :func:`parse_arguments`.

    Args:
        context: The command's context.
        options: The command's options; these arguments are removed from them.
        names: The names of the arguments after FILE.

    Raises:
        click.UsageError: FILE is missing, or the arguments are incomplete or too many.
    """
    words = options["words"]
    if words and not options["addresses"] and _is_an_image(words[0]):
        raise click.UsageError(
            f"The answers file {words[0]} cannot be read: no such file or directory. If it is an "
            "image, FILE is missing: name it first, or use --server USER@HOST[:PORT].",
            context,
        )
    return parse_arguments(context, options, *names)


def _is_an_image(word: str) -> bool:
    """Return whether a word is more likely an image's name than that of a file."""
    path = Path(word)
    is_path = word.startswith((".", "/", "~")) or path.suffix in {".yml", ".yaml", ".json"}
    return bool(word) and not is_path and not os.path.lexists(path)


@contextmanager
def open_images(arguments: Arguments) -> Iterator[Runner]:
    """Open a deployment for its images.

    Args:
        arguments: The command's arguments.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.runner import open_deployment
    from moorage.deploy.status.discovery import answers_for

    if arguments.file is not None:
        answers = open_answers(arguments.output, arguments.file)
    else:
        answers = answers_for(arguments.servers)
    with open_deployment(
        arguments.output, answers, accepted_host_keys=arguments.accepted_host_keys
    ) as runner:
        # Of the registry's secrets, only the keys of a bucket are needed.
        runner.asker.asks_for_logins_only = answers.storage.driver != "s3"
        yield runner


def accepts_store(runner: Runner) -> Callable[[Store], bool]:
    """Return what asks whether to connect to a store that only a server's record names.

    Args:
        runner: The open deployment.
    """
    return lambda store: runner.asker.accept_store(str(store))


def read_images(runner: Runner) -> tuple[ImagesRead, Activity]:
    """Return the images, and the pushes and pulls that are known.

    Args:
        runner: The open deployment.
    """
    accepts = accepts_store(runner)
    read, activity = runner.query(lambda: runner.operations.read_images_and_activity(accepts))
    for error in read.unreached:
        runner.output.message(f"{error.server}: {explain(error)}")
    return read, activity


def read_reclaimable(runner: Runner, read: ImagesRead, activity: Activity) -> Reclaimable:
    """Return the space that can be freed.

    Args:
        runner: The open deployment.
        read: Its images.
        activity: The pushes and pulls that are known.
    """
    from moorage.deploy.images import space

    return runner.query(lambda: space.read_reclaimable(runner.deployment, read, activity))


def run_change(
    runner: Runner,
    read: ImagesRead,
    task: Task,
    plan: dict[str, object],
    *,
    question: str,
    yes: bool,
    dry_run: bool,
) -> int:
    """Confirm a change that was shown, run it and print its result.

    Args:
        runner: The open deployment.
        read: The images it was planned from.
        task: The task of the run.
        plan: The plan for ``--json``.
        question: The question.
        yes: Whether it is not asked.
        dry_run: Whether to stop here.

    Returns:
        The exit code.
    """
    from moorage.cli.errors import WasInterruptedError
    from moorage.deploy.images.run import change_images

    if dry_run:
        if runner.output.as_json:
            runner.output.emit({"exit_code": int(ExitCode.CHANGES), "plan": plan})
        else:
            runner.output.message("Nothing was changed, because of --dry-run.")
        return ExitCode.CHANGES
    if not yes and not runner.asker.confirm(question):
        runner.output.message("Nothing was changed.")
        return ExitCode.FAILED

    def cancel() -> None:
        runner.message(_CANCELLING)
        runner.deployment.abort()

    try:
        change = runner.run(lambda: change_images(runner.deployment, read, task), cancel)
    except WasInterruptedError as error:
        raise WasInterruptedError(
            "Interrupted twice: Moorage told the server to stop, but did not wait for it.",
            advice="'moorage images trash' shows what was moved.",
        ) from error
    code = ExitCode.DONE if change.is_complete else ExitCode.FAILED
    if runner.main_thread.is_interrupted and not change.is_good:
        code = ExitCode.INTERRUPTED
    _print(runner, change, task, plan, code)
    moved = change.numbers.get("bytes", 0)
    if moved and change.is_good and not (task.purges or runner.output.as_json):
        runner.output.data(f"   {_space_text(moved, task.trash)}")
    return code


def _space_text(moved: int, kept_for: float) -> str:
    """Return when the space of what was moved to the trash is free."""
    from moorage.units import date_text, size_text

    return (
        f"The {size_text(moved)} are freed when the trash is emptied: by the first collection "
        f"after {date_text(time.time() + kept_for)}, or now with 'moorage images collect --purge'."
    )


def show_packages(output: Output, read: ImagesRead) -> None:
    """Print which package a run installs first, if any.

    Args:
        output: The output.
        read: The images that the run changes.
    """
    from moorage.deploy.images.run import packages_for

    for package in packages_for(read.facts):
        output.message(
            ("+  ", "green"), f"package {package} on {read.server}, which this needs once"
        )


def _print(
    runner: Runner,
    change: ImagesChange,
    task: Task,
    plan: dict[str, object],
    code: ExitCode,
) -> None:
    from moorage.deploy.events import ending_in_words
    from moorage.deploy.images.summary import kept_tags_text, result_text
    from moorage.servers.run_results import REASONS

    output, ended = runner.output, change.ended
    if output.as_json:
        output.emit(
            {
                "exit_code": int(code),
                "plan": plan,
                "server": ended.server,
                "run": ended.run_id,
                "status": str(ended.status),
                "code": ended.code,
                "message": ended.message,
                "warnings": list(ended.warnings),
                "done": change.numbers,
            }
        )
        return
    sign = ("✓  ", "green") if change.is_good else ("✗  ", "red")
    if change.is_good and not change.is_complete:
        sign = ("!  ", "yellow")
    text = ending_in_words(ended.status, ended.step, ended.message)
    if change.is_good:
        numbers = change.numbers
        text = f"{result_text(task, numbers)} {kept_tags_text(numbers)}".rstrip()
    output.data(sign, f"{ended.server}  {text}")
    advice = REASONS[ended.code].advice if ended.code in REASONS else ""
    if advice and not change.is_good:
        output.data(f"   {advice}")
