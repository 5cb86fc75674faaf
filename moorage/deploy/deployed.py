"""What the facts say about what is deployed on a server."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterable, Mapping

from moorage.answers.model import Answers, Server
from moorage.desired import layout
from moorage.desired.layout import Slot
from moorage.errors import MoorageError
from moorage.servers.facts import Facts


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


UNKNOWN_NAME = "unknown.invalid"
"""Stands for a registry's name in answers for a server that was not read yet."""


def deployment_record(facts: Facts) -> Mapping[str, object]:
    """Return what the last run recorded in deployment.json; empty when there is nothing usable."""
    record = facts.files.get(layout.DEPLOYMENT)
    if record is None:
        return {}
    try:
        parsed = json.loads(record.content)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def other_domain(facts: Facts, domain: str) -> str:
    """Return the name a server's registry has if it is another than this one, or empty.

    Args:
        facts: What the probe read.
        domain: The name it should have.
    """
    recorded = deployment_record(facts).get("domain")
    is_other = isinstance(recorded, str) and domain not in {recorded, UNKNOWN_NAME}
    return str(recorded) if is_other else ""


def deployed_at(every: Iterable[Facts]) -> float | None:
    """Return when servers were last deployed to, seconds since 1970; None where none says so."""
    found = []
    for facts in every:
        with contextlib.suppress(KeyError, ValueError):
            then = datetime.datetime.fromisoformat(str(deployment_record(facts)["deployed_at"]))
            found.append(then.timestamp())
    return max(found, default=None)


def recorded_digests(facts: Facts) -> Mapping[str, str]:
    """Return the SHA-256 of every file as Moorage last wrote it, by path."""
    digests = deployment_record(facts).get("digests")
    return digests if isinstance(digests, dict) else {}


def drifted(facts: Facts) -> tuple[str, ...]:
    """Return the managed files that are not as Moorage last wrote them, or gone."""
    return tuple(
        path
        for path, digest in sorted(recorded_digests(facts).items())
        if path.startswith("/") and (path not in facts.files or facts.files[path].digest != digest)
    )


def recorded_answers(facts: Facts) -> Answers:
    """Return the answers that were applied last, without secrets.

    Raises:
        MoorageError: Nothing is deployed there, or its record cannot be read.
    """
    if layout.DEPLOYMENT not in facts.files:
        raise MoorageError(
            "nothing of Moorage's is deployed here.",
            hint="Apply answers to this server first: moorage apply FILE.",
            server=facts.server,
            code="not_deployed",
        )
    record = deployment_record(facts)
    try:
        return Answers.model_validate(record["answers"])
    except (KeyError, ValueError) as error:
        raise MoorageError(
            f"{layout.DEPLOYMENT} does not say what is deployed here.",
            hint="Apply the answers to this server again: moorage apply FILE.",
            server=facts.server,
            code="no_record",
        ) from error


def answers_with(server: Server, facts: Facts) -> Answers:
    """Return the answers that were applied last, with one of the servers reached in another way.

    Args:
        server: How the server that the facts are of was reached just now.
        facts: What the probe read on it.

    Raises:
        MoorageError: Nothing is deployed there, or its record cannot be read.
    """
    answers = recorded_answers(facts)
    label = deployment_record(facts).get("server")
    servers = []
    for each in answers.servers:
        if each.host == label:
            # What it is stays as it was recorded; how to get there is known better now.
            kept = {"address": each.address, "runtime": each.runtime}
            servers.append(server.model_copy(update=kept))
        else:
            servers.append(each)
    return answers.model_copy(update={"servers": tuple(servers)})
