"""What deployment.json on a server says once a run is done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from moorage import __version__
from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.deploy.additions import ADDED_BY_RUNS, found_record
from moorage.deploy.deployment_json import deployment_record, recorded_digests, recorded_part
from moorage.deploy.plan import ServerPlan
from moorage.deploy.revisions import Change, Revision, as_record
from moorage.deploy.store import store_record
from moorage.desired import layout


def record_of_apply(
    answers: Answers, plan: ServerPlan, run_id: str, revision: Revision, change: Change
) -> dict[str, object]:
    """Return the record of a server that answers were applied to.

    Args:
        answers: What the operator decided.
        plan: What the run does.
        run_id: The run's id.
        revision: The deployment's before.
        change: What the apply changes.
    """
    # A switch leaves the files of the slot it came from as they are.
    left = layout.slot_files(plan.slot_from) if plan.slot_from and plan.switches else ()
    digests = {
        path: digest
        for path, digest in recorded_digests(plan.facts).items()
        if path.startswith(layout.REGISTRY_ETC + "/")
    }
    digests |= {file.path: file.digest for file in plan.desired.files if file.path not in left}
    digests |= {file.path: file.digest for file in plan.writes}
    if plan.desired.image and plan.desired.image.archive_digest:
        digests["image_archive"] = plan.desired.image.archive_digest
    known = str(deployment_record(plan.facts).get("registry_version", ""))
    program = deployment_record(plan.facts).get("registry_program")
    if plan.touches_registry:
        program = {"image" if plan.desired.image else "package": "@REGISTRY_PROGRAM@"}
    return {
        "version": 1,
        "moorage": __version__,
        "run": run_id,
        "deployed_at": _now(),
        **as_record(revision, change),
        "server": plan.server,
        "domain": plan.desired.domain,
        "slot": plan.slot_to,
        "registry_version": "@REGISTRY_VERSION@" if plan.touches_registry else known,
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
    }


def record_of_users(
    plan: ServerPlan,
    run_id: str,
    revision: int,
    missed: Iterable[str],
    deployment: Mapping[str, object],
) -> dict[str, object]:
    """Return the record of a server whose users were changed.

    Args:
        plan: What the run does.
        run_id: The run's id.
        revision: How many changes the users have seen with this one.
        missed: The servers that were left out of it, by label.
        deployment: What it says of the deployment's revision, as ``revisions.as_record`` has it.
    """
    digests = dict(recorded_digests(plan.facts))
    digests |= {file.path: file.digest for file in plan.writes}
    for path in plan.removals:
        digests.pop(path, None)
    return {**_with_users(plan, run_id, revision, digests, missed), **deployment}


def record_of_undone_users(
    plan: ServerPlan, run_id: str, revision: int, missed: Iterable[str]
) -> dict[str, object]:
    """Return the record of a server whose users were changed and changed back.

    It counts as a later change than the one that was undone: a server that could not be reached
    any more and kept that one is behind.
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
    users |= {"revision": revision, "run": run_id, "changed_at": _now(), "missed": sorted(missed)}
    return {**before, "users": users, "digests": digests}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
