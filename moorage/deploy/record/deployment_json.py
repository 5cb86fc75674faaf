"""Read what is deployed on a server: deployment.json and nginx's upstream, from the facts."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moorage.answers.model import Answers
from moorage.answers.recorded import RecordedAnswers, RecordedServer, read_recorded
from moorage.desired import layout
from moorage.desired.layout import Slot
from moorage.errors import MoorageError
from moorage.servers.facts import Draining, Facts


def active_slot(facts: Facts) -> Slot | None:
    """Return the slot that gets the traffic, from nginx's upstream, or None."""
    upstream = facts.files.get(layout.UPSTREAM)
    if upstream is None:
        return None
    text = upstream.content.decode("utf-8", "replace")
    for slot, port in layout.OLD_PORTS.items():
        if f"unix:{layout.socket_path(slot)};" in text or f"127.0.0.1:{port};" in text:
            return slot
    return None


def draining(facts: Facts, slot: Slot) -> Draining | None:
    """Return the open transfers of a slot that stops when they finish, or None."""
    return next((each for each in facts.draining if each.slot == slot), None)


UNKNOWN_NAME = "unknown.invalid"
"""A placeholder for the registry's name in answers for a server that was not read yet."""


def deployment_record(facts: Facts) -> Mapping[str, object]:
    """Return the content of deployment.json; empty when there is none, or it is unusable.

    Root on the server can write anything there: it is untrusted data, and size, depth and numbers
    are limited.
    """
    record = facts.files.get(layout.DEPLOYMENT)
    if record is None or len(record.content) > _LARGEST_RECORD:
        return {}
    try:
        parsed = json.loads(record.content, parse_int=_number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) and not _is_deep(parsed) else {}


def recorded_part(facts: Facts, name: str) -> Mapping[str, Any]:
    """Return one section of the record; empty when there is none.

    Args:
        facts: The server's facts.
        name: The section's name.
    """
    part = deployment_record(facts).get(name)
    return part if isinstance(part, dict) else {}


def line_of(value: object) -> str:
    """Return a recorded text as printable characters of one line; empty when it is not a text.

    Args:
        value: The recorded value.
    """
    text = value if isinstance(value, str) else ""
    return "".join(each for each in text if each.isprintable())[:_LONGEST_LINE]


_LONGEST_LINE = 4096
_LARGEST_RECORD = 8 * 1024**2
_DEEPEST_RECORD = 64


def _number(digits: str) -> int:
    if len(digits) > 18:
        raise ValueError("the number has too many digits")
    return int(digits)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEEPEST_RECORD):
        inside: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inside += each.values()
            elif isinstance(each, list):
                inside += each
        level = inside
    return bool(level)


def other_domain(facts: Facts, domain: str) -> str:
    """Return the name of a server's registry if it differs from this one; else empty.

    Args:
        facts: The server's facts.
        domain: The expected name.
    """
    served = served_domain(facts)
    return "" if domain in {served, UNKNOWN_NAME} else served


def served_domain(facts: Facts) -> str:
    """Return the name of a server's registry, according to its record; empty if not known.

    Args:
        facts: The server's facts.
    """
    if recorded := line_of(deployment_record(facts).get("domain")):
        return recorded
    applied = as_applied(facts)
    return applied.answers.registry.domain if applied is not None else ""


def other_registries(
    every: Iterable[Facts], domain: str = UNKNOWN_NAME
) -> tuple[MoorageError, ...]:
    """Return an error for each server whose registry has another name than the expected one.

    Args:
        every: The servers' facts.
        domain: The name in the answers; by default, that of the first server is expected.
    """
    return other_names({each.server: served_domain(each) for each in every}, domain)


def other_names(names: Mapping[str, str], domain: str = UNKNOWN_NAME) -> tuple[MoorageError, ...]:
    """Return the errors of :func:`other_registries`, from names that are known.

    Args:
        names: The name of each server's registry; empty for none.
        domain: The name in the answers; by default, that of the first server is expected.
    """
    expected, why = domain, f"these answers are for {domain}"
    if domain == UNKNOWN_NAME:
        first, expected = next(((each, name) for each, name in names.items() if name), ("", ""))
        why = f"{first} serves {expected}"
    return tuple(
        MoorageError(
            f"it serves {name}, but {why}.",
            advice=f"Use the answers of {name}, or apply these first, which replaces it."
            if expected == domain
            else "Name the servers of one registry.",
            fields=("registry.domain",) if expected == domain else (),
            server=server,
            code="other_registry",
        )
        for server, name in names.items()
        if name not in {"", expected}
    )


def deployed_at(every: Iterable[Facts]) -> float | None:
    """Return the time of the last apply on any of the servers, seconds since 1970, or None."""
    found = []
    for facts in every:
        with contextlib.suppress(KeyError, ValueError, OverflowError, OSError):
            then = datetime.datetime.fromisoformat(str(deployment_record(facts)["deployed_at"]))
            found.append(then.timestamp())
    # Ignore times in the future: clocks and records can be wrong.
    return max((each for each in found if 0 < each < time.time() + _DAY), default=None)


_DAY = 86400.0


def recorded_digests(facts: Facts) -> Mapping[str, str]:
    """Return the SHA-256 of every file as Moorage last wrote it, by path."""
    return recorded_part(facts, "digests")


def drifted(facts: Facts) -> tuple[str, ...]:
    """Return the managed files that were modified or removed since Moorage wrote them."""
    return tuple(
        path
        for path, digest in sorted(recorded_digests(facts).items())
        if path.startswith("/") and (path not in facts.files or facts.files[path].digest != digest)
    )


def runs_package(facts: Facts) -> bool:
    """Return whether the deployed registry is the distribution's package, not an image.

    Args:
        facts: The server's facts.
    """
    return "package" in recorded_part(facts, "registry_program")


@dataclass(frozen=True)
class Recorded:
    """A server's record of its deployment: untrusted input.

    This is not :class:`Answers`, so no deployment can be opened with it.

    Attributes:
        server: The label it was reached by.
        label: The label it was deployed under.
        recorded: The answers that were applied last.
    """

    server: str
    label: str
    recorded: RecordedAnswers

    @property
    def answers(self) -> Answers:
        """The answers that were applied last; see :class:`RecordedAnswers`."""
        return self.recorded.answers

    @property
    def servers(self) -> tuple[RecordedServer, ...]:
        """The servers of the deployment, according to the record."""
        return self.recorded.servers

    @property
    def answers_here(self) -> Answers:
        """The answers with this server's own runtime and image."""
        for server in self.servers:
            if server.host == self.label:
                registry = self.answers.registry.on_server(server.runtime, server.image)
                return self.answers.model_copy(update={"registry": registry})
        return self.answers


def recorded_on(facts: Facts) -> Recorded:
    """Return the answers applied last to a server, from its record.

    Raises:
        MoorageError: Nothing is deployed there, or its record cannot be read.
    """
    if layout.DEPLOYMENT not in facts.files:
        raise MoorageError(
            "Moorage has not deployed a registry here.",
            advice="Apply answers to this server first.",
            server=facts.server,
            code="not_deployed",
        )
    record = deployment_record(facts)
    try:
        read = read_recorded(record["answers"])
    except (KeyError, ValueError) as error:
        raise MoorageError(
            f"{layout.DEPLOYMENT} contains no usable answers.",
            advice="Apply the answers to this server again: moorage apply FILE.",
            server=facts.server,
            code="no_record",
        ) from error
    label = line_of(record.get("server")) or facts.server
    return Recorded(facts.server, label, read)


def as_applied(facts: Facts) -> Recorded | None:
    """Return the answers applied last to a server; None without a usable record."""
    try:
        return recorded_on(facts)
    except MoorageError:
        return None
