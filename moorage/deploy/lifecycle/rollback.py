"""Go back to an earlier deployment: its configuration, its program and its hooks, not the users.

A rollback is a run like an apply, whose files are those the servers keep. It takes a new revision,
so the deployment before it is the one that it left: rolling back twice undoes the rollback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.deployment import Deployment
from moorage.deploy.image_archive import read_archive
from moorage.deploy.images.retention_preview import find_removals
from moorage.deploy.lifecycle.kept import (
    CERTIFICATE,
    STAYING,
    KeptDeployment,
    ServerDeployments,
    deployment_not_kept,
    no_deployment_before,
)
from moorage.deploy.plan.consequences import (
    Code,
    Consequence,
    change_of_apply,
    find_consequences,
    version_in_words,
)
from moorage.deploy.plan.expectations import expect
from moorage.deploy.plan.plan import Plan, ServerPlan
from moorage.deploy.plan.planning import plan_state
from moorage.deploy.plan.platform import platform_of
from moorage.deploy.plan.problem import problem_on
from moorage.deploy.plan.programs import runs_now, why_restore
from moorage.deploy.plan.store import store_id, uses_recorded_store
from moorage.deploy.plan.timings import recorded as recorded_timings
from moorage.deploy.record.deployment_json import (
    as_applied,
    deployment_record,
    line_of,
    other_registries,
    recorded_digests,
)
from moorage.deploy.record.left_servers import find_left, read_user_lists
from moorage.deploy.record.merge import (
    answers_gone_back,
    answers_of_some,
    catch_up_users,
    replaced_edits,
)
from moorage.deploy.record.revisions import latest
from moorage.deploy.run.hooks import hooks_of_apply
from moorage.desired import layout
from moorage.desired.build import desired_with_files, listening_ports
from moorage.desired.certificates import find_faults
from moorage.desired.layout import Slot
from moorage.desired.state import DesiredFile, DesiredState, Effect, Image, Materials
from moorage.errors import AnswersError, MoorageError, Note, ServersFailed
from moorage.servers.facts import Facts, ManagedFile
from moorage.users.on_servers import latest_users, read_user_list

_CHOOSE = "Choose a revision that all servers keep: moorage rollback FILE --to REVISION."
_WHY = "as it was deployed then"
_HTTP_SECRET = re.compile(rb'^REGISTRY_HTTP_SECRET="[^\n]*"$', re.MULTILINE)
_STORE = re.compile(rb'^MOORAGE_STORE="([0-9a-f]{16})"$', re.MULTILINE)


@dataclass(frozen=True)
class Rollback:
    """The deployment to go back to.

    Attributes:
        revision: Its revision.
        kept: It on each server, in the answers' order.
        answers: The operator's answers, with those of that deployment.
        answers_after: The operator's answers after it: if only some servers go back, what all
            share stays.
        left: The recorded answers that the operator has to enter again, as dotted paths.
        from_revision: The revision of the deployment that is left.
        differ: The answers that stay then, although they differ, as dotted paths.
        replaced: The operator's answers that were not applied yet and that it replaces, as dotted
            paths.
    """

    revision: int
    kept: tuple[KeptDeployment, ...] = field(repr=False)
    answers: Answers
    answers_after: Answers
    left: tuple[str, ...] = ()
    from_revision: int = 0
    differ: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def done_text(self) -> str:
        """The result of the rollback, for display."""
        return f"Rolled back to revision {self.revision}."

    @property
    def left_text(self) -> str:
        """The answers to enter again, with the recorded paths, for display."""
        recorded = self.kept[0].recorded.recorded.unconfirmed
        then = {".".join(map(str, path)): line_of(value) for path, value in recorded.items()}
        names = (f"{each} (it was {then[each]})" if then.get(each) else each for each in self.left)
        return f"To be entered in the answers again: {', '.join(names)}"

    def replaced_text(self, file: str, copy: str) -> str:
        """Return that answers are replaced that were not applied yet, for display.

        Args:
            file: The name of the answers file.
            copy: The name of its copy.
        """
        names = ", ".join(self.replaced)
        return f"Not applied yet, and replaced in {file}: {names}. {copy} keeps it as it is now."


def choose(every: Sequence[ServerDeployments], answers: Answers, to: int | None = None) -> Rollback:
    """Return the deployment to go back to: that of a revision, or the one before the current.

    Args:
        every: The deployments of the servers that go back.
        answers: The operator's answers.
        to: The revision; None for the deployment before.

    Raises:
        ServersFailed: A server does not keep that deployment.
        MoorageError: There is none, or its answers cannot be used.
    """
    if others := other_registries((each.current.facts for each in every), answers.registry.domain):
        raise ServersFailed(others)
    current = max(each.current.revision for each in every)
    revisions = revisions_kept(every)
    if to is None:
        earlier = [each for each in revisions if each < current]
        to = next((each for each in earlier if not list(_lacking(every, each))), None)
        if to is None:
            if not earlier:
                raise no_deployment_before(current)
            raise ServersFailed(list(_lacking(every, earlier[0])))
    elif to not in revisions:
        raise deployment_not_kept(to, revisions)
    elif lacking := list(_lacking(every, to)):
        raise ServersFailed(lacking)
    kept = tuple(found for each in every if (found := each.at(to)) is not None)
    merged = answers_gone_back(answers, kept[0].recorded)
    gone_back, left = _without_other_archive(merged.answers, kept)
    left = (*merged.left, *left)
    after, differ = gone_back, tuple[str, ...]()
    if len(every) < len(answers.servers):
        left = ()
        after, differ = answers_of_some(answers, gone_back, {each.server for each in every})
    applied = max((each.current for each in every), key=lambda each: each.revision)
    replaced = replaced_edits(answers, applied.recorded.recorded.values, after)
    return Rollback(to, kept, gone_back, after, left, current, differ, replaced)


def _without_other_archive(
    answers: Answers, kept: Sequence[KeptDeployment]
) -> tuple[Answers, tuple[str, ...]]:
    """Return the answers without an image archive that is not the one of the deployment.

    An apply would load it; the servers still have the image.
    """
    if answers.registry.image_archive is None:
        return answers, ()
    known = {recorded_digests(each.facts).get("image_archive") for each in kept}
    try:
        archive = read_archive(answers)
        if archive is None or archive.digest in known:
            return answers, ()
    except AnswersError:  # the file is gone
        pass
    registry = answers.registry.model_copy(update={"image_archive": None})
    return answers.model_copy(update={"registry": registry}), ("registry.image_archive",)


def revisions_kept(every: Sequence[ServerDeployments]) -> list[int]:
    """Return the revisions of the deployments that servers keep, latest first."""
    return sorted({kept.revision for each in every for kept in each.kept}, reverse=True)


def _lacking(every: Sequence[ServerDeployments], revision: int) -> Iterator[MoorageError]:
    """Yield why servers cannot go back to a revision."""
    first: KeptDeployment | None = None
    for each in every:
        there = each.at(revision)
        if there is None:
            names = ", ".join(str(kept.revision) for kept in each.kept) or "none"
            yield MoorageError(
                f"it does not keep the deployment of revision {revision} (kept: {names}).",
                advice=_CHOOSE,
                server=each.server,
                code="deployment_not_kept",
            )
        elif there.is_too_old:
            yield MoorageError(
                f"the deployment of revision {there.revision} is from a version of Moorage whose "
                "slots had no programs of their own.",
                advice="Set the old values in the answers and apply them; 'moorage diff FILE' "
                "shows what differs.",
                server=each.server,
                code="deployment_too_old",
            )
        elif there.fault:
            yield MoorageError(
                f"the kept deployment of revision {there.revision} is damaged: {there.fault}.",
                server=each.server,
                code="deployment_damaged",
            )
        elif first is not None and _settings_of(first) != _settings_of(there):
            yield MoorageError(
                f"it had other answers at revision {revision} than {first.server}: that apply did "
                "not reach all servers.",
                advice=_CHOOSE,
                server=each.server,
                code="deployments_differ",
            )
        first = first or there


def _settings_of(kept: KeptDeployment) -> Mapping[str, object]:
    values = kept.recorded.recorded.values
    return {name: each for name, each in values.items() if name not in {"credentials", "ask"}}


def plan_rollback(deployment: Deployment, rollback: Rollback, every: Sequence[Facts]) -> Plan:
    """Return the plan of a rollback.

    Args:
        deployment: The deployment, with the answers of the rollback.
        rollback: Where to.
        every: The facts of all servers, in the same order.

    Raises:
        ServersFailed: A server cannot be read.
    """
    answers = deployment.answers
    current = latest_users(read_user_lists(every))
    certificate = next(filter(None, map(_certificate_after, rollback.kept, every)), None)
    materials = Materials(
        http_secret=Secret(""),
        auth_key=Secret(""),
        users=current.users if current else (),
        users_revision=current.revision if current else 1,
        certificate=certificate,
        ca_certificate=certificate,
        addresses={},
    )
    servers = tuple(
        _plan_server(answers, kept, facts) for kept, facts in zip(rollback.kept, every, strict=True)
    )
    revision = latest(every)
    change = replace(change_of_apply(answers, materials, every), rolled_back_to=rollback.revision)
    left = find_left(answers, every)
    others = [*find_removals(deployment, every), *_programs(rollback.kept, every)]
    return Plan(
        servers,
        materials,
        find_consequences(answers, materials, every, others, changes_users=False, left=left),
        revision,
        answers.based_on,
        revision.following(answers.based_on, change),
        expect(servers, answers.rollout, recorded_timings(), deployment.other_servers),
        left,
    )


def with_users_of(answers: Answers, plan: Plan) -> Answers:
    """Return answers with the changes of the users that they have missed."""
    return catch_up_users(answers, plan).answers


def _plan_server(answers: Answers, kept: KeptDeployment, facts: Facts) -> ServerPlan:
    if not kept.is_kept:  # the rollback leaves this server as it is
        kept = _as_now(kept, facts)
    answers = answers.for_server(facts.server)
    platform = replace(
        platform_of(facts, {}, listening_ports(answers)), store_id=store_id(answers, facts, "")
    )
    stays = _staying(answers, kept, facts)
    image = None
    if answers.registry.runtime != "package":
        digest = recorded_digests(kept.facts).get("image_archive")
        image = Image(answers.registry.runtime, answers.registry.image, archive_digest=digest)

    def wanted_for(slot: Slot) -> DesiredState:
        files = tuple(
            _desired(each, kept.slot, slot, facts) for each in kept.files if each.path not in stays
        )
        return desired_with_files(answers, platform, slot, files, image)

    scripts = {hook.name: kept.facts.files.get(layout.hook_path(hook.name))
               for hook in answers.hooks}  # fmt: skip
    hooks = hooks_of_apply(
        answers.model_copy(
            update={"hooks": tuple(each for each in answers.hooks if scripts[each.name])}
        ),
        {name: each.content for name, each in scripts.items() if each is not None},
    )
    users = read_user_list(facts, deployment_record(facts)).revision
    plan = plan_state(
        facts,
        wanted_for,
        hooks,
        users_revision=users,
        stays=stays,
        restores=kept.program,
        proves=uses_recorded_store(answers, facts),
    )
    return replace(
        plan,
        problems=(*plan.problems, *_problems(answers, kept, facts, plan)),
        notes=(*plan.notes, *_notes(answers, kept, stays)),
    )


def _as_now(kept: KeptDeployment, facts: Facts) -> KeptDeployment:
    """Return the current deployment with the files that the server has."""
    paths = {layout.DEPLOYMENT, *recorded_digests(facts)}
    there = {path: each for path, each in facts.files.items() if path in paths}
    return replace(kept, facts=replace(kept.facts, files=there))


def _desired(file: ManagedFile, slot: Slot, other: Slot, facts: Facts) -> DesiredFile:
    """Return a kept file as it has to be for a slot."""
    path, content = file.path, file.content
    if path in (*layout.slot_files(slot), layout.UPSTREAM):
        path = path.replace(f"/{slot}/", f"/{other}/")
        content = for_slot(content, slot, other)
    if path == layout.REGISTRY_ENV and layout.REGISTRY_ENV in facts.files:
        content = _with_http_secret(content, facts.files[layout.REGISTRY_ENV].content)
    return DesiredFile(path, content, _effect(path), _WHY, file.mode, file.owner, file.group)


def for_slot(content: bytes, slot: Slot, other: Slot) -> bytes:
    """Return a slot's file for a slot: its socket, debug port and name.

    Args:
        content: The file.
        slot: The slot that it is for.
        other: The slot that it has to be for.
    """
    for was, now in (
        (layout.socket_path(slot), layout.socket_path(other)),
        (f"127.0.0.1:{layout.DEBUG_PORTS[slot]}", f"127.0.0.1:{layout.DEBUG_PORTS[other]}"),
        (f"of slot {slot};", f"of slot {other};"),
        (f"active registry slot: {slot}.", f"active registry slot: {other}."),
    ):
        content = content.replace(was.encode(), now.encode())
    return content


def _with_http_secret(content: bytes, now: bytes) -> bytes:
    """Return registry.env with the current HTTP secret, which signs the uploads in progress."""
    line = _HTTP_SECRET.search(now)
    return _HTTP_SECRET.sub(lambda _: line[0], content) if line is not None else content


def _effect(path: str) -> Effect:
    """Return what has to happen for a change of a file to take effect."""
    if path.startswith(("/etc/nginx/", layout.NGINX_DROP_INS)):
        return Effect.NGINX
    if path == layout.CERTBOT_CONFIG:
        return Effect.CERTIFICATE
    if path.startswith((layout.ACME_ETC, layout.CERTBOT_DROP_INS)):
        return Effect.RENEWAL
    if path in (layout.COLLECT_SERVICE, layout.COLLECT_TIMER):
        return Effect.SCHEDULE
    if path.startswith((layout.REGISTRY_ETC, "/etc/systemd/system/")):
        return Effect.REGISTRY
    return Effect.NOTHING


# --- what does not go back -----------------------------------------------------------------------


def _staying(answers: Answers, kept: KeptDeployment, facts: Facts) -> tuple[str, ...]:
    """Return the files that stay: the users, and the certificate unless another one is needed."""
    if answers.ssl.mode == "none":
        return STAYING
    if _certificate_stays(answers, facts):
        return (*STAYING, *CERTIFICATE, layout.RENEWAL)
    return STAYING


def _certificate_stays(answers: Answers, facts: Facts) -> bool:
    """Whether the current certificate is of the same kind, and for the same name."""
    now = as_applied(facts)
    if now is None:
        return False
    was, then = now.answers.ssl, answers.ssl
    return (
        was.mode == then.mode
        and now.answers.registry.domain == answers.registry.domain
        and (was.mode != "acme" or was.acme.url == then.acme.url)
    )


def _certificate_after(kept: KeptDeployment, facts: Facts) -> bytes | None:
    """Return the certificate that nginx has after the rollback; None without TLS."""
    mode = kept.recorded.answers.ssl.mode
    if mode == "none":
        return None
    stays = _certificate_stays(kept.recorded.answers, facts)
    there = (facts if stays or not kept.is_kept else kept.facts).files.get(layout.TLS_CERTIFICATE)
    return there.content if there is not None else None


def _problems(
    answers: Answers, kept: KeptDeployment, facts: Facts, plan: ServerPlan
) -> Iterator[MoorageError]:
    """Yield what prevents this server from going back."""
    store = _STORE.search(
        kept.facts.files[layout.slot_env_path(kept.slot)].content
        if layout.slot_env_path(kept.slot) in kept.facts.files
        else b""
    )
    folder = answers.storage.filesystem.path
    if store is not None and (facts.store is None or facts.store.marker != store[1].decode()):
        yield problem_on(
            facts,
            "store_differs",
            f"{folder} no longer contains the images of revision {kept.revision}.",
            "Mount the disk, or bring the folder back. To begin empty, set storage in the answers "
            "and apply them with --begin-empty.",
        )
    if answers.ssl.mode == "none" or _certificate_stays(answers, facts):
        if plan.ask is not None:
            yield problem_on(
                facts,
                "certificate_needed",
                f"it would need a new certificate ({plan.ask.reason}), which a rollback does not "
                "request.",
                "Set the old values in the answers and apply them: moorage apply FILE.",
            )
        return
    if answers.ssl.mode == "acme":
        yield problem_on(
            facts,
            "certificate_needed",
            f"at revision {kept.revision} it had a certificate by ACME, which it no longer has.",
            "Set ssl in the answers and apply them: moorage apply FILE requests one.",
        )
        return
    certificate, key = (kept.facts.files.get(path) for path in reversed(CERTIFICATE))
    if certificate is None or key is None:
        fault = "it is not kept"
    else:
        now = datetime.fromtimestamp(facts.clock, UTC)
        found = find_faults(certificate.content, key.content, answers.registry.domain, now)
        fault = next((sentence.rstrip(".") for _code, sentence in found), "")
    if fault:
        yield problem_on(
            facts,
            "certificate_needed",
            f"the certificate of revision {kept.revision} can no longer be used: {fault}.",
            "Set ssl in the answers and apply them: moorage apply FILE.",
        )


def _notes(answers: Answers, kept: KeptDeployment, stays: Sequence[str]) -> Iterator[Note]:
    if answers.ssl.mode != "none" and layout.TLS_CERTIFICATE not in stays:
        yield Note(
            "certificate_restored",
            f"The certificate of revision {kept.revision} is used again, because the current one "
            "is of another kind or for another name.",
        )


def _programs(kept: Sequence[KeptDeployment], every: Sequence[Facts]) -> Iterator[Consequence]:
    """Yield the servers whose registry goes back to another version."""
    for then, facts in zip(kept, every, strict=True):
        if then.program is None or not why_restore(then.program, facts):
            continue
        before, after = line_of(deployment_record(facts).get("registry_version")), then.version
        if not before or before == after:
            before, after = runs_now(facts), then.program_name
        yield Consequence(
            Code.REGISTRY_VERSION,
            f"The registry changes from {version_in_words(before)} to {version_in_words(after)}.",
            servers=(facts.server,),
            before=before,
            after=after,
        )
