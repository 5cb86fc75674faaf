"""The meaning of a draft, and the files that a step changes; the draft may be unfinished."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from moorage.answers.model import Answers
from moorage.answers.rows import answers_rows
from moorage.answers.secrets import MASK, Secret, Typed
from moorage.answers.ssl import acme_references
from moorage.deploy.plan.plan import Kind
from moorage.deploy.plan.planning import plan_server
from moorage.desired import layout
from moorage.desired.state import Materials
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError, Problem
from moorage.rows import Level, Row
from moorage.servers.facts import Facts
from tui.document.draft import Draft
from tui.document.steps import Step, step_of

_SAMPLES: dict[str, Any] = {
    "domain": "registry.example.com",
    "servers": [{"host": "server"}],
    "users": [{"name": "user", "access": "push", "password": {"generate": True}}],
    "host": "server",
    "name": "user",
    "password": {"generate": True},
    "bucket": "your-bucket",
    "region": "your-region",
    "certificate": "fullchain.pem",
    "key": "key.pem",
}

_FILES: dict[Step, tuple[str, ...]] = {
    Step.SERVERS: (layout.NGINX_SITE,),
    Step.CREDENTIALS: (layout.HTPASSWD, layout.ACCESS_MAP),
    Step.STORAGE: (
        layout.config_path("blue"),
        layout.REGISTRY_ENV,
        layout.COLLECT_SETTINGS,
        layout.COLLECT_TIMER,
    ),
    Step.DNS: (layout.NGINX_SITE,),
    Step.SSL: (layout.TLS_CERTIFICATE, layout.NGINX_SITE),
    Step.ADVANCED: (layout.config_path("blue"), layout.REGISTRY_ENV, layout.UNIT),
    Step.REVIEW: (),
}


class Mark(StrEnum):
    """The state of a line in a preview."""

    SAME = " "
    """Unchanged since the last apply."""
    NEW = "+"
    """New or changed since the last apply."""
    FRESH = "»"
    """Changed since the step was opened."""


@dataclass(frozen=True)
class PreviewFile:
    """A file as it would be written, secrets masked.

    Attributes:
        path: Its path on the server.
        lines: Its lines, each with its mark.
    """

    path: str
    lines: tuple[tuple[Mark, str], ...]

    @property
    def text(self) -> str:
        """The whole file."""
        return "\n".join(line for _, line in self.lines)


def render(answers: Answers | None) -> Mapping[str, str]:
    """Return the files of answers by path; empty if nothing can be rendered yet.

    Args:
        answers: The result of :func:`nearest_answers`.
    """
    if answers is None:
        return {}
    facts = Facts("preview", os={"ID": "debian", "VERSION_ID": "12"})
    try:
        plan = plan_server(answers, _materials(answers), facts)
    except (MoorageError, ValueError):
        return {}
    return {
        change.subject: change.after
        for change in plan.changes
        if change.kind is Kind.FILE and change.after is not None
    }


def rows(
    problems: Sequence[Problem],
    answers: Answers | None,
    step: Step,
    describe: Callable[[Problem], str],
) -> list[Row]:
    """Return what a draft means, a row for each section; or what is missing or wrong there.

    Args:
        problems: The draft's problems.
        answers: The result of :func:`nearest_answers`.
        step: The current step, whose answers are still being typed.
        describe: Returns a problem as text.
    """
    if answers is None:
        return []
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(section_of(problem.path), problem)
    return [
        _faulty(row, first[row.key], step, describe) if row.key in first else row
        for row in answers_rows(answers)
    ]


def _faulty(row: Row, problem: Problem, step: Step, describe: Callable[[Problem], str]) -> Row:
    if problem.code in {"missing", "empty"}:
        return replace(row, text="not complete yet", level=Level.PENDING)
    level = Level.PENDING if step_of(problem) is step else Level.BAD
    return replace(row, text=describe(problem), level=level)


def section_of(path: Sequence[str | int]) -> str:
    """Return the row that a field's path belongs to."""
    match tuple(path):
        case () | ("servers", *_):
            return "servers"
        case ("registry",) | ("registry", "domain" | "port" | "listen", *_):
            return "registry"
        case ("registry" | "hooks", *_):
            return "advanced"
        case _:
            return str(path[0])


def of_step(
    step: Step,
    now: Mapping[str, str],
    applied: Mapping[str, str],
    opened: Mapping[str, str],
) -> list[PreviewFile]:
    """Return the files that a step affects, with changes marked.

    Args:
        step: The step.
        now: The result of :func:`render`.
        applied: Its result for the last apply; empty if there was none.
        opened: Its result when the step was opened.
    """
    paths: Sequence[str] = _FILES[step]
    return [
        PreviewFile(
            path, tuple(_marked(now[path], applied.get(path, ""), opened.get(path, now[path])))
        )
        for path in paths
        if path in now
    ]


def _marked(now: str, applied: str, opened: str) -> list[tuple[Mark, str]]:
    fresh, new = _differing(now, opened), _differing(now, applied)
    return [
        (Mark.FRESH if i in fresh else Mark.NEW if i in new else Mark.SAME, line)
        for i, line in enumerate(now.splitlines())
    ]


def _differing(now: str, before: str) -> set[int]:
    """Return the indexes of lines that the other text does not have."""
    if now == before:
        return set()
    lines, old = now.splitlines(), before.splitlines()
    matcher = difflib.SequenceMatcher(None, old, lines, autojunk=False)
    return {
        place
        for kind, _, _, begin, end in matcher.get_opcodes()
        if kind != "equal"
        for place in range(begin, end)
    }


def nearest_answers(draft: Draft) -> Answers | None:
    """Return the draft as answers, with samples for what is wrong or missing."""
    data = Draft(draft.data)
    for _ in range(20):
        try:
            return data.answers()
        except MoorageError:
            pass
        problems = data.problems
        for problem in problems:
            if not problem.path:
                # Servers that do not share storage: the files look the same with one.
                data.set("servers", data.items("servers")[:1])
                continue
            path = _text(problem.path)
            name = str(problem.path[-1])
            if name in _SAMPLES and data.get(path) != _SAMPLES[name]:
                data.set(path, _SAMPLES[name])
            elif problem.path == ("storage",):
                data.set("storage.s3", {name: _SAMPLES[name] for name in ("bucket", "region")})
            elif problem.path == ("ssl", "acme"):
                data.set("ssl.acme.challenge", "http-01")
            elif problem.path == ("ssl",):
                data.set("ssl.files", {"certificate": "fullchain.pem", "key": "key.pem"})
            else:
                data.remove(path)
    return None


def _text(path: Sequence[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _materials(answers: Answers) -> Materials:
    """Return stand-ins for secrets and for what comes from servers; none of it is shown."""
    stand_in = Secret(MASK)
    secrets: dict[str, Secret] = {}
    s3 = answers.storage.s3
    if s3 is not None and s3.accesskey is not None:
        secrets |= {"storage.s3.accesskey": stand_in, "storage.s3.secretkey": stand_in}
    for name, value in answers.registry.environment.items():
        if not isinstance(value, (str, int, bool)) or isinstance(value, Typed):
            secrets[f"registry.environment.{name}"] = stand_in
    certificate = None
    if answers.ssl.mode == "acme":
        for path in acme_references(answers.ssl.acme):
            secrets[".".join(("ssl", "acme", *path))] = stand_in
    if answers.ssl.mode in {"private_ca", "files"}:
        origin = {
            "private_ca": f"issued by {answers.ssl.private_ca.name} for {answers.registry.domain}",
            "files": f"from {answers.ssl.files.certificate if answers.ssl.files else ''}",
        }[answers.ssl.mode]
        certificate = f"# {origin}\n".encode()
    return Materials(
        http_secret=stand_in,
        auth_key=stand_in,
        secrets=secrets,
        users=tuple(
            RegistryUser(user.name, MASK, user.access, user.repositories, user.disabled)
            for user in answers.credentials.users
        ),
        certificate=certificate,
        certificate_key=stand_in if certificate else None,
        hooks={hook.name: f"# from {hook.script}\n".encode() for hook in answers.hooks},
    )
