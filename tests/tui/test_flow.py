import subprocess
import sys
from pathlib import Path

from moorage.errors import Problem
from tui.document.steps import STEPS, Mark, Progress, Step, begin, step_of


def test_continuing_visits_every_step_in_order_and_stays_at_review() -> None:
    progress = Progress()
    seen = [progress.current]
    for _ in STEPS:
        progress = progress.moved_to(progress.next())
        seen.append(progress.current)
    assert seen[: len(STEPS)] == list(STEPS)
    assert seen[-1] is Step.REVIEW


def test_going_back_from_the_first_step_leaves_the_wizard() -> None:
    assert Progress(Step.CREDENTIALS).previous() is Step.SERVERS
    assert Progress(Step.SERVERS).previous() is None


def test_answers_with_ask_open_on_the_first_such_step_and_visit_only_those() -> None:
    progress = begin(["ssl", "storage"], [], is_new=False)
    assert progress.current is Step.STORAGE
    assert progress.next() is Step.SSL
    assert progress.moved_to(Step.SSL).next() is Step.REVIEW


def test_finished_answers_open_on_review() -> None:
    progress = begin([], [], is_new=False)
    assert progress.current is Step.REVIEW
    assert progress.mark(Step.DNS, []) is Mark.DONE


def test_only_a_successful_apply_completes_review() -> None:
    progress = Progress(Step.REVIEW).moved_to(Step.DNS)
    assert progress.mark(Step.REVIEW, []) is Mark.OPEN
    assert progress.mark(Step.REVIEW, [], is_applied=True) is Mark.DONE


def test_only_visited_steps_of_a_draft_are_done() -> None:
    progress = begin([], [], is_new=False, seen=["servers"])
    assert progress.mark(Step.SERVERS, []) is Mark.DONE
    assert progress.mark(Step.DNS, []) is Mark.OPEN


def test_invalid_answers_open_on_the_first_problem() -> None:
    progress = begin([], [Step.SSL], is_new=False)
    assert progress.current is Step.SSL
    assert progress.moved_to(Step.REVIEW).mark(Step.SSL, [Step.SSL]) is Mark.WRONG


def test_a_problem_belongs_to_the_step_that_asks_for_it() -> None:
    assert step_of(Problem(("registry", "domain"), "")) is Step.SERVERS
    assert step_of(Problem(("registry", "image"), "")) is Step.ADVANCED
    assert step_of(Problem(("servers", 0, "host"), "")) is Step.SERVERS
    assert step_of(Problem(("storage", "s3", "bucket"), "")) is Step.STORAGE


def test_the_flow_needs_no_textual() -> None:
    code = (
        "import tui.document.steps, tui.document.draft, tui.document.store, sys; "
        "assert 'textual' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
