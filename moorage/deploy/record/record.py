"""The new content of deployment.json on a server, written at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage import __version__
from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.deploy.plan.plan import ServerPlan
from moorage.deploy.plan.store import store_record
from moorage.deploy.record.additions import ADDED_BY_RUNS, found_record
from moorage.deploy.record.deployment_json import deployment_record, recorded_digests, recorded_part
from moorage.deploy.record.left_servers import LeftServer, left_record
from moorage.deploy.record.revisions import Change, Revision, as_record, now
from moorage.desired import layout
from moorage.servers.facts import Facts


def record_of_apply(
    answers: Answers,
    plan: ServerPlan,
    run_id: str,
    revision: Revision,
    change: Change,
    *,
    left: Iterable[LeftServer] = (),
) -> dict[str, object]:
    """Return the record of a server after an apply.

    Args:
        answers: The operator's answers.
        plan: The server's plan.
        run_id: The run's id.
        revision: The deployment's revision before the apply.
        change: The apply's change, at the time of the apply.
        left: The servers that left the deployment and were not uninstalled.
    """
    # A switch does not touch the files of the old slot.
    old = layout.slot_files(plan.slot_from) if plan.slot_from and plan.switches else ()
    digests = {
        path: digest
        for path, digest in recorded_digests(plan.facts).items()
        if path.startswith(layout.REGISTRY_ETC + "/")
    }
    digests |= {file.path: file.digest for file in plan.desired.files if file.path not in old}
    digests |= {file.path: file.digest for file in plan.writes}
    before = recorded_digests(plan.facts)
    digests |= {path: before[path] for path in plan.stays if path in before}
    if plan.desired.image and plan.desired.image.archive_digest:
        digests["image_archive"] = plan.desired.image.archive_digest
    known = str(deployment_record(plan.facts).get("registry_version", ""))
    program = deployment_record(plan.facts).get("registry_program")
    if plan.switches:
        program = {"image" if plan.desired.image else "package": "@REGISTRY_PROGRAM@"}
    record = {
        "version": 1,
        "moorage": __version__,
        "run": run_id,
        "deployed_at": change.at,
        "deployed_revision": change.revision,
        **as_record(revision, change),
        "server": plan.server,
        "domain": plan.desired.domain,
        "slot": plan.slot_to,
        "registry_version": "@REGISTRY_VERSION@" if plan.switches else known,
        "registry_program": program,
        "store": store_record(plan.facts, plan.desired.store_id),
        "found": found_record(plan),
        "added": ADDED_BY_RUNS,
        "answers": without_secrets(answers),
        "users": {
            "revision": plan.users_revision,
            "declared": [user.name for user in answers.credentials.users],
        },
        "digests": digests,
        "left": left_record(left, change.at, change.by),
    }
    return record | _users_now(plan.facts, record["answers"]) if plan.stays else record


def _users_now(facts: Facts, answers: Any) -> dict[str, object]:
    """Return the parts of the record with the users, for a run that leaves them as they are."""
    applied = recorded_part(facts, "answers").get("credentials", answers["credentials"])
    users = recorded_part(facts, "users")
    return {"answers": {**answers, "credentials": applied}, "users": users}


def record_of_users(
    plan: ServerPlan,
    run_id: str,
    revision: int,
    missed: Iterable[str],
    deployment: Mapping[str, object],
) -> dict[str, object]:
    """Return the record of a server after a change of the users.

    Args:
        plan: The server's plan.
        run_id: The run's id.
        revision: The users' revision after the change.
        missed: The servers left out of it, by label.
        deployment: The part with the deployment's revision, from ``revisions.as_record``.
    """
    digests = dict(recorded_digests(plan.facts))
    digests |= {file.path: file.digest for file in plan.writes}
    for path in plan.removals:
        digests.pop(path, None)
    return {**_with_users(plan, run_id, revision, digests, missed), **deployment}


def record_of_undone_users(
    plan: ServerPlan, run_id: str, revision: int, missed: Iterable[str]
) -> dict[str, object]:
    """Return the record of a server that undid a change of the users.

    Its revision is later than that of the undone change: a server that became unreachable and kept
    the change is then outdated.
    """
    return _with_users(plan, run_id, revision + 1, dict(recorded_digests(plan.facts)), missed)


def _with_users(
    plan: ServerPlan,
    run_id: str,
    revision: int,
    digests: dict[str, str],
    missed: Iterable[str],
) -> dict[str, object]:
    before = dict(deployment_record(plan.facts))
    users = dict(recorded_part(plan.facts, "users")) or {"declared": []}
    users |= {"revision": revision, "run": run_id, "changed_at": now(), "missed": sorted(missed)}
    return {**before, "users": users, "digests": digests}
