"""The texts about deleting, collecting and restoring images. No I/O but the clock."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator

from textual.content import Content

from moorage.deploy.events import ending_in_words
from moorage.deploy.images.rows import kept_untagged_text
from moorage.deploy.images.run import (
    CollectPlan,
    DeletePlan,
    ImagesChange,
    RestorePlan,
    packages_for,
)
from moorage.deploy.images.summary import kept_tags_text, result_text, trashed_text
from moorage.escape import one_line, printable
from moorage.images.collection import VERIFY
from moorage.images.task import Task
from moorage.images.trash import TrashedRun
from moorage.servers.facts import Facts
from moorage.servers.run_results import REASONS
from moorage.units import age_text, count_text, date_text, exact_size
from screens.images.texts import SHORT_DIGEST

_MOST_LINES = 500


def delete_plan(plan: DeletePlan) -> Content:
    """Return what a deletion means: the names first."""
    trees = plan.read.stored.tree.repositories
    names = [
        (f"{repository}:{tag}", digest[:SHORT_DIGEST]) for repository, tag, digest in plan.tags
    ]
    names += [
        (repository, f"the whole repository, {count_text(len(trees[repository].tags), 'tag')}")
        for repository in plan.repositories
    ]
    after = date_text(time.time() + plan.task.trash)
    them = "it needs" if plan.manifests == 1 else "they need"
    effect = (
        f"{count_text(plan.manifests, 'manifest')} can no longer be pulled. What only {them}, "
        f"{exact_size(plan.size)}, is freed later, by Free space (f) and when the trash is emptied."
    )
    if not plan.manifests:
        effect = "Other tags name the same images, so these stay and no space is freed."
    return _lines(
        *_removed(names),
        Content(""),
        Content(effect),
        Content(f"Until {after}, Trash (t) restores what is deleted, with its tags."),
        *_packages(plan.read.facts),
    )


def collect_plan(plan: CollectPlan) -> Content:
    """Return what a collection frees, what it keeps and why, and what cannot be undone."""
    this = plan.collection
    lines = [Content.styled("Nothing to collect: everything is needed.", "bold")]
    if not this.is_empty:
        lines = [
            Content.styled(exact_size(this.freed), "bold")
            + Content(
                f" that nothing needs: {count_text(this.blobs, 'blob')}, "
                f"{count_text(this.manifests, 'manifest')} among them."
            )
        ]
    lines += _removed((f"{name}:{tag}", "belongs to an image that goes") for name, tag in this.tags)
    if this.removes_checks:
        lines.append(
            Content.styled("- ", "bold $text-error")
            + Content.styled(VERIFY, "bold")
            + Content.styled("  the repository of Moorage's own checks; they create it again",
                             "$text-muted")
        )  # fmt: skip
    if this.kept_untagged:
        lines.append(_note(kept_untagged_text(this.kept_untagged, this.kept_until)))
    for repository, manifests in this.unreadable.items():
        digest, why = manifests[0]
        lines.append(_note(
            f"Kept: everything in {repository}, because manifest {digest[:SHORT_DIGEST]} cannot be "
            f"read: {why or 'unknown'}"
        ))  # fmt: skip
    lines += [Content(""), *_trash_lines(plan)]
    if not this.is_empty:
        grace = int(plan.task.grace)
        wait = f"Moves it after {_duration(grace)}" if grace else "Moves it at once"
        lines.append(
            Content(
                f"{wait}. Pulls do not wait; pushes wait for less than two seconds. Moorage can be "
                f"closed meanwhile: the run continues on {one_line(plan.read.server)}."
            )
        )
    return _lines(*lines, *_packages(plan.read.facts))


def _trash_lines(plan: CollectPlan) -> Iterator[Content]:
    size = sum(run.size for run in plan.trash)
    if plan.task.purges:
        all_of_it = exact_size(size + plan.collection.freed)
        yield Content.styled(
            f"! The trash is emptied at once, with what is moved now: {all_of_it}. Images in it "
            "can no longer be restored. This cannot be undone.",
            "$text-warning",
        )
        return
    if plan.trash:
        yield Content(f"In the trash already: {exact_size(size)}.")
    if plan.emptied:
        old = exact_size(sum(run.size for run in plan.emptied))
        yield Content(f"{old} of it has been there for long enough, and is deleted with this.")
    if not plan.collection.is_empty:
        after = date_text(time.time() + plan.task.trash)
        yield Content(
            f"It goes to the trash, which Trash (t) restores from until {after}. The first "
            "collection after that frees the space."
        )


def restore_plan(plan: RestorePlan, names: Collection[str]) -> Content:
    """Return what is restored, and what is not.

    Args:
        plan: The plan.
        names: The names; everything in the trash if there are none.
    """
    lines = [Content(f"+ {one_line(name)}") for name in sorted(names)[:_MOST_LINES]]
    lines = lines or [Content("Everything in the trash.")]
    lines += [
        _note(f"{name}:{tag} was pushed again and stays: its deleted image comes back without a "
              "tag.")
        for name, tag in plan.pushed_again
    ]  # fmt: skip
    return _lines(*lines, *_packages(plan.read.facts))


def change_text(change: ImagesChange, task: Task | None) -> Content:
    """Return the result of a run that succeeded.

    Args:
        change: The result.
        task: The run's task; None if it is not known.
    """
    text = result_text(task, change.numbers)
    is_deletion = task is not None and task.action == "delete"
    if is_deletion and (change.numbers.get("tags") or change.numbers.get("repositories")):
        text += " Trash (t) restores what was deleted."
    done = Content.styled(f"✓ {text}", "$text-success")
    for warning in filter(None, (kept_tags_text(change.numbers), *change.ended.warnings)):
        done += Content.styled(f"\n! {printable(warning)}", "$text-warning")
    return done


def failure_text(change: ImagesChange) -> Content:
    """Return why a run did not succeed, and what to do."""
    ended = change.ended
    text = printable(ending_in_words(ended.status, ended.step, ended.message))
    lines = [Content.styled(f"✗ {text[:1].upper()}{text[1:]}.", "bold $text-error")]
    advice = REASONS[ended.code].advice if ended.code in REASONS else ""
    if change.numbers.get("bytes") or change.numbers.get("tags"):
        lines.append(Content("What was moved to the trash before stays there."))
    lines += [Content(printable(advice))] if advice else []
    return _lines(*lines)


def until_text(seconds: float) -> str:
    """Return the time that is left: ``59:12 left``."""
    left = max(0, int(seconds))
    hours, rest = divmod(left, 3600)
    minutes = f"{rest // 60:02}:{rest % 60:02}"
    return f"{hours}:{minutes} left" if hours else f"{minutes} left"


def trashed_run(run: TrashedRun) -> str:
    """Return when a part of the trash got there, and what is in it."""
    return f"{age_text(run.at, time.time())}: {trashed_text(run)}"


def _duration(seconds: int) -> str:
    for unit, word in ((3600, "hour"), (60, "minute")):
        if seconds >= unit and seconds % unit == 0:
            return count_text(seconds // unit, word)
    return count_text(seconds, "second")


def _removed(names: Iterable[tuple[str, str]]) -> list[Content]:
    listed = list(names)
    lines = [
        Content.styled("- ", "bold $text-error")
        + Content.styled(one_line(name), "bold")
        + Content.styled(f"  {one_line(detail)}", "$text-muted")
        for name, detail in listed[:_MOST_LINES]
    ]
    if len(listed) > _MOST_LINES:
        more = f"  … and {len(listed) - _MOST_LINES:,} more"
        lines.append(Content.styled(more, "$text-muted"))
    return lines


def _packages(facts: Facts) -> list[Content]:
    return [
        Content(f"Installs the package {package} on {one_line(facts.server)}, once.")
        for package in packages_for(facts)
    ]


def _note(text: str) -> Content:
    return Content.styled(f"! {one_line(text)}", "$text-warning")


def _lines(*lines: Content) -> Content:
    return Content("\n").join(lines)
