"""What the facts say about what is deployed on a server."""

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
    """Return the slot that gets the traffic, as nginx's upstream says, or None."""
    upstream = facts.files.get(layout.UPSTREAM)
    if upstream is None:
        return None
    text = upstream.content.decode("utf-8", "replace")
    for slot, port in layout.OLD_PORTS.items():
        if f"unix:{layout.socket_path(slot)};" in text or f"127.0.0.1:{port};" in text:
            return slot
    return None


def draining(facts: Facts, slot: Slot) -> Draining | None:
    """Return what a slot still sends that stops by itself when that has ended, or None."""
    return next((each for each in facts.draining if each.slot == slot), None)


UNKNOWN_NAME = "unknown.invalid"
"""Stands for a registry's name in answers for a server that was not read yet."""


def deployment_record(facts: Facts) -> Mapping[str, object]:
    """Return what the last run recorded in deployment.json; empty when there is nothing usable.

    Whoever has root on the server may have written it: it is data, and never more than some
    megabytes, levels and digits of it.
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
        facts: What the probe read.
        name: The section's name.
    """
    part = deployment_record(facts).get(name)
    return part if isinstance(part, dict) else {}


def line_of(value: object) -> str:
    """Return a recorded text as a part of one line; empty when it is not a text.

    Args:
        value: What a record has there.
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
    """Return the name a server's registry has if it is another than this one, or empty.

    Args:
        facts: What the probe read.
        domain: The name it should have.
    """
    recorded = line_of(deployment_record(facts).get("domain"))
    return "" if domain in {recorded, UNKNOWN_NAME} else recorded


def deployed_at(every: Iterable[Facts]) -> float | None:
    """Return when servers were last deployed to, seconds since 1970; None where none says so."""
    found = []
    for facts in every:
        with contextlib.suppress(KeyError, ValueError, OverflowError, OSError):
            then = datetime.datetime.fromisoformat(str(deployment_record(facts)["deployed_at"]))
            found.append(then.timestamp())
    # A clock may be wrong, and a record may say anything.
    return max((each for each in found if 0 < each < time.time() + _DAY), default=None)


_DAY = 86400.0


def recorded_digests(facts: Facts) -> Mapping[str, str]:
    """Return the SHA-256 of every file as Moorage last wrote it, by path."""
    return recorded_part(facts, "digests")


def drifted(facts: Facts) -> tuple[str, ...]:
    """Return the managed files that are not as Moorage last wrote them, or gone."""
    return tuple(
        path
        for path, digest in sorted(recorded_digests(facts).items())
        if path.startswith("/") and (path not in facts.files or facts.files[path].digest != digest)
    )


def runs_package(facts: Facts) -> bool:
    """Return whether what is deployed is the distribution's package, and no image.

    Args:
        facts: What the probe read.
    """
    return "package" in recorded_part(facts, "registry_program")


def program_update(facts: Facts) -> str:
    """Return how the program that was deployed was replaced since; empty when it was not.

    An update of the package or of the image's tag changes what the next start runs, and leaves what
    runs now as it is.
    """
    recorded = recorded_part(facts, "registry_program")
    slot = active_slot(facts)
    installed = facts.packages.get("docker-registry")
    if installed is not None and recorded.get("package") not in (None, "", installed):
        return f"docker-registry was updated to {installed}"
    if slot is not None and layout.unit_name(slot) in facts.outdated:
        return "docker-registry was installed anew"
    if facts.image is not None and recorded.get("image") not in (None, "", facts.image):
        return "another image has its image's name"
    return ""


@dataclass(frozen=True)
class Recorded:
    """What a server says of the deployment it belongs to: words of a stranger.

    This is no :class:`Answers`, so no deployment can be opened with it.

    Attributes:
        server: The label it was reached by.
        label: The label it was deployed under.
        said: What was applied last.
    """

    server: str
    label: str
    said: RecordedAnswers

    @property
    def answers(self) -> Answers:
        """The answers that were applied last; see :class:`RecordedAnswers`."""
        return self.said.answers

    @property
    def servers(self) -> tuple[RecordedServer, ...]:
        """The servers of the deployment, as it names them."""
        return self.said.servers

    @property
    def answers_here(self) -> Answers:
        """The answers as they apply to this server: with its own runtime."""
        runtime = next((each.runtime for each in self.servers if each.host == self.label), None)
        if runtime is None:
            return self.answers
        registry = self.answers.registry.model_copy(update={"runtime": runtime})
        return self.answers.model_copy(update={"registry": registry})


def recorded_on(facts: Facts) -> Recorded:
    """Return what was applied last to a server, as its record says.

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
            f"{layout.DEPLOYMENT} does not say what is deployed here.",
            advice="Apply the answers to this server again: moorage apply FILE.",
            server=facts.server,
            code="no_record",
        ) from error
    label = line_of(record.get("server")) or facts.server
    return Recorded(facts.server, label, read)


def as_applied(facts: Facts) -> Recorded | None:
    """Return what was applied last to a server; None where its record does not say."""
    try:
        return recorded_on(facts)
    except MoorageError:
        return None
