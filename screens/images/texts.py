"""The texts of the Images screen. No I/O but the clock."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from textual.content import Content

from moorage.deploy.events import Event, StepBegan, step_title
from moorage.deploy.images.rows import notes
from moorage.escape import one_line
from moorage.images.usage import RepositoryUsage, TagUsage
from moorage.servers.facts import RunRecord
from moorage.units import age_text, date_text, size_text
from screens.images.marks import count_names
from screens.images.rows import RepositoryRow

_STEPS = {"connect": "connecting", "probe": "reading the server"}
SHORT_DIGEST = 19
"""Characters of a digest that tell it from others: the algorithm and twelve more."""


class Progress:
    """The progress of reading or planning.

    Args:
        server: The server.
        what: What is done.
    """

    def __init__(self, server: str, what: str) -> None:
        self._server = server
        self._what = what
        self._step = "connecting"
        self._began = time.monotonic()

    def take(self, event: Event) -> None:
        """Record an event."""
        if isinstance(event, StepBegan) and event.server == self._server:
            self._step = _STEPS.get(event.step, event.step)

    def line(self) -> Content:
        """Return the progress, as a line."""
        seconds = int(time.monotonic() - self._began)
        clock = f", {seconds} s" if seconds else ""
        return (
            Content.styled("… ", "$accent")
            + Content.styled(f"{self._what} on {one_line(self._server)}", "bold")
            + Content.styled(f": {self._step}{clock} (Escape: cancel)", "$text-muted")
        )


def count(number: int, noun: str) -> str:
    """Return a number of things: ``1 tag``, ``1,000 tags``.

    Args:
        number: The number.
        noun: One of them.
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def names_text(names: Collection[str]) -> str:
    """Return the number of tags and repositories among names: ``2 tags and 1 repository``."""
    tags, repositories = count_names(names)
    parts = [count(tags, "tag")] if tags else []
    parts += [count(repositories, "repository")] if repositories else []
    return " and ".join(parts)


def staged_line(marked: Collection[str], staged: Collection[str]) -> Content:
    """Return what is marked and staged, and the keys for it; empty if nothing is.

    Args:
        marked: The marked names.
        staged: The names that are staged for deletion.
    """
    parts = []
    if staged:
        parts.append(
            Content.styled(f"- {names_text(staged)} to delete", "bold $text-error")
            + Content.styled(" (p: plan, z: undo)", "$text-muted")
        )
    if marked:
        parts.append(
            Content.styled(f"● {names_text(marked)} marked", "bold $text-accent")
            + Content.styled(" (d: delete)", "$text-muted")
        )
    return Content("   ").join(parts)


def active_run(server: str, run: RunRecord) -> Content:
    """Return the run that is in progress on a server, and how to follow it."""
    step = step_title(run.step)
    return Content.styled(f"● A run is in progress on {one_line(server)}", "$text-warning") + (
        Content.styled(f": {one_line(step)}. Press w to watch it.", "$text-muted")
    )


def repositories_title(rows: Sequence[RepositoryRow], text: str, order: str) -> str:
    """Return what the repositories are and how they are sorted.

    Args:
        rows: The repositories that are shown.
        text: The text that they match; empty for all.
        order: Their order.
    """
    number = count(len(rows), "repository")
    if text:
        tags = sum(len(row.tags) for row in rows)
        return f"{number}, {count(tags, 'tag')} found"
    return f"{number} by {order}"


def tags_title(row: RepositoryRow | None, order: str) -> str:
    """Return what the tags are and how they are sorted.

    Args:
        row: Their repository.
        order: Their order.
    """
    if row is None:
        return "Tags"
    every = len(row.usage.tags)
    number = count(every, "tag") if len(row.tags) == every else f"{len(row.tags):,} of {every:,}"
    return f"{number} by {order}"


def repository_line(usage: RepositoryUsage) -> Content:
    """Return a repository's figures, as a line."""
    parts = [
        count(len(usage.tags), "tag"),
        f"{size_text(usage.own_size)} own",
        f"{size_text(usage.size - usage.own_size)} shared",
    ]
    if usage.untagged:
        parts.append(count(usage.untagged, "untagged manifest"))
    return _line(usage.name, [*parts, *uses(usage)])


def tag_line(tag: TagUsage) -> Content:
    """Return a tag's figures, as a line, and below it what is wrong with it."""
    parts = [tag.digest[:SHORT_DIGEST]] if tag.digest else []
    if not tag.problem:
        parts += [f"{size_text(tag.size)}, {size_text(tag.own_size)} own"]
    parts += [", ".join(tag.platforms)] if tag.platforms else []
    line = _line(f"{tag.repository}:{tag.name}", [*parts, *uses(tag)])
    if not (said := list(notes(tag))):
        return line
    text = "; ".join(said)
    if tag.missing:
        return line + Content.styled(
            f"\n✗ {one_line(text)}. Pulls fail; push the tag again.", "$text-error"
        )
    colour = "$text-warning" if tag.problem else "$text-muted"
    return line + Content.styled(f"\n{'! ' if tag.problem else ''}{one_line(text)}", colour)


def uses(usage: RepositoryUsage | TagUsage) -> list[str]:
    """Return the last push and pull, with their users."""
    parts = []
    if usage.pushed is not None:
        parts.append(f"pushed {_when(usage.pushed)}{_by(usage.pushed_by)}")
    if usage.pulled is not None:
        parts.append(f"pulled {_when(usage.pulled)}{_by(usage.pulled_by)}")
    return parts


def _when(moment: float) -> str:
    relative, date = age_text(moment, time.time()), date_text(moment)
    return relative if relative == date else f"{relative}, {date}"


def _by(user: str) -> str:
    return f" by {user}" if user else ""


def _line(name: str, parts: Sequence[str]) -> Content:
    return Content.styled(one_line(name), "bold") + Content.styled(
        f"  {one_line(' · '.join(parts))}", "$text-muted"
    )


def empty_text(registry: str, *, has_checks: bool) -> Content:
    """Return how to push a first image.

    Args:
        registry: The registry's name, with its port if clients need it.
        has_checks: Whether only Moorage's own checks have pushed.
    """
    name = one_line(registry)
    lines = (
        f"docker login {name}",
        f"docker tag IMAGE {name}/IMAGE",
        f"docker push {name}/IMAGE",
    )
    text = Content.styled("No images yet.", "bold")
    if has_checks:
        text += Content.styled(" Moorage's own checks have pushed one: c shows it.", "$text-muted")
    text += Content("\n\nPush one:\n\n")
    text += Content("\n").join(Content.styled(f"  {line}", "$text-accent") for line in lines)
    return text + Content.styled(
        "\n\nThen press r to read again. For Podman and other clients, and for clients that have "
        "to trust the private CA, press c on the dashboard.",
        "$text-muted",
    )


def error_text(error: str, *, is_old: bool) -> Content:
    """Return why the images could not be read, and what to do.

    Args:
        error: The reason, and advice.
        is_old: Whether the images read before are still shown.
    """
    old = " The images below were read before." if is_old else ""
    return (
        Content.styled("✗ ", "$text-error")
        + Content.styled(error, "$text-error")
        + Content.styled(f"\n{old} Press r to try again.".replace("\n ", "\n"), "$text-muted")
    )
