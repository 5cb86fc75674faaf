"""Compute a server's plan: desired state minus facts. Pure functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.certificates.acme import Ask, what_to_ask
from moorage.deploy.plan.listen_addresses import listens_as_deployed, needs_restart
from moorage.deploy.plan.managed_files import misplaced_files
from moorage.deploy.plan.other_sites import DEFAULT_SITE, drops_default_site
from moorage.deploy.plan.packaged_registry import takes_over, why_mask
from moorage.deploy.plan.plan import (
    WAIT_SECONDS,
    Change,
    Kind,
    PlannedHook,
    ServerPlan,
)
from moorage.deploy.plan.platform import platform_of, web_group_of
from moorage.deploy.plan.preflight import (
    find_archive_problems,
    find_notes,
    find_problems,
    find_version_problems,
    is_installed,
    read_only_folders,
    run_going_on,
)
from moorage.deploy.plan.programs import (
    NO_TARGET,
    PACKAGE,
    Program,
    Target,
    update_there,
    version_ahead,
    why_repair,
    why_restore,
    why_take,
    why_upgrade,
)
from moorage.deploy.plan.store import store_id, uses_recorded_store
from moorage.deploy.plan.web_server import missing_nginx, nginx_problems
from moorage.deploy.record.deployment_json import (
    active_slot,
    draining,
    recorded_digests,
    recorded_on,
)
from moorage.deploy.record.left_servers import LeftServer, why_record
from moorage.deploy.run.hooks import change_of, find_lost_hooks, hooks_of_apply, hooks_of_users
from moorage.desired import layout
from moorage.desired.build import (
    desired,
    desired_auth_key,
    desired_user_files,
    is_asked_on_80,
    listening_ports,
)
from moorage.desired.layout import Slot
from moorage.desired.masking import SecretKind, kind_of_secret, masked, without_private_keys
from moorage.desired.state import (
    DesiredFile,
    DesiredFolder,
    DesiredState,
    Effect,
    Materials,
    Package,
)
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError, Note
from moorage.registry_keys import registry_version
from moorage.rows import Action
from moorage.servers.facts import Draining, Facts
from moorage.users.on_servers import USER_FILES

_BEFORE, _AFTER = "on the server", "after apply"
"""Mark masked lines that only one of the two versions has."""


@dataclass(frozen=True)
class _Difference:
    """The parts of a desired state that a server does not have.

    Attributes:
        files: Files that are missing or differ.
        unfinished: Effects of files that match but were never recorded: the run that wrote them
            did not finish, so the services may not have loaded them yet.
        takes: Why the new slot needs another program than the active one; empty if it does not.
        installs: The version of the registry's package to install over another one; empty for none.
        repairs: What is wrong with the active slot's program; empty if nothing is.
    """

    packages: tuple[Package, ...]
    folders: tuple[DesiredFolder, ...]
    files: tuple[DesiredFile, ...]
    removals: tuple[str, ...]
    load_image: bool
    unfinished: frozenset[Effect]
    remakes_storage: bool
    takes: str
    installs: str
    repairs: str

    def affects(self, effect: Effect) -> bool:
        """Whether files with this effect changed, or were never put into effect."""
        return effect in self.unfinished or any(file.effect is effect for file in self.files)


def plan_server(
    answers: Answers, materials: Materials, facts: Facts, target: Target = NO_TARGET
) -> ServerPlan:
    """Compare a server with its desired state.

    Args:
        answers: What the operator decided.
        materials: Secrets, hashes and certificates.
        facts: The server's facts.
        target: The program that an upgrade gives it.
    """
    answers = answers.for_server(facts.server)
    platform = replace(
        platform_of(facts, materials.addresses, listening_ports(answers)),
        store_id=store_id(answers, facts, materials.new_store_id),
    )
    hooks = hooks_of_apply(answers, materials.hooks)

    def wanted_for(slot: Slot) -> DesiredState:
        return desired(answers, materials, platform, slot)

    plan = plan_state(
        facts,
        wanted_for,
        hooks,
        users_revision=materials.users_revision,
        target=target,
        proves=uses_recorded_store(answers, facts),
    )
    return replace(plan, notes=(*plan.notes, *_notes_on_passwords(materials)))


def with_record(
    plan: ServerPlan, answers: Answers, left: Sequence[LeftServer], *, joins: bool = False
) -> ServerPlan:
    """Return a server's plan with the change of its record, where only that changes.

    Args:
        plan: The server's plan.
        answers: What the operator decided.
        left: The servers that the apply records as left.
        joins: Whether the server is not part of the deployment, according to the others.
    """
    why = "" if plan.has_changes else why_record(answers, plan.facts, left, joins=joins)
    if not why:
        return plan
    return replace(plan, changes=(Change(Kind.RECORD, Action.CHANGE, layout.DEPLOYMENT, why),))


def others_unread(errors: Sequence[MoorageError], server: str) -> Note:
    """Return the note that servers outside a limit cannot be read.

    Args:
        errors: Why not, of each.
        server: The server inside the limit.
    """
    names = ", ".join(each.server or "" for each in errors)
    return Note(
        "others_unread",
        f"{names} cannot be read. Users that were changed there, but not here, are not known, nor "
        f"whether {server} has left the deployment: {errors[0].message}",
    )


def plan_state(
    facts: Facts,
    wanted_for: Callable[[Slot], DesiredState],
    scripts: Sequence[PlannedHook],
    *,
    users_revision: int,
    stays: Collection[str] = (),
    restores: Program | None = None,
    target: Target = NO_TARGET,
    proves: bool = False,
) -> ServerPlan:
    """Compare a server with a desired state.

    Args:
        facts: The server's facts.
        wanted_for: Returns the desired state for a slot.
        scripts: The hooks to run if anything changes.
        users_revision: The users' revision after the run.
        stays: Files that are not in the desired state and stay.
        restores: The kept program that the slot has to run; None for the usual one.
        target: The program that an upgrade gives the server.
        proves: Whether another program has to read stored images: the store stays the same.
    """
    slot_from = active_slot(facts)
    slot_now: Slot = slot_from or "blue"
    wanted = wanted_for(slot_now)
    recorded = recorded_digests(facts)
    difference = _compare(
        wanted,
        facts,
        recorded,
        stays,
        restores=restores,
        target=target,
        is_new=slot_from is None,
    )
    ask = what_to_ask(wanted, facts, recorded)
    changes = list(_changes_before_services(wanted, difference, facts, recorded))

    slot_to, slot_change = _slot(difference, facts, slot_from)
    writes = difference.files
    if slot_to != slot_now:
        writes = _for_other_slot(difference.files, wanted_for(slot_to), slot_to)
        changes = [_in_slot(each, slot_to) for each in changes]
    restarts = needs_restart(facts, wanted.listens)
    nginx_change = _nginx_change(difference, writes, facts, ask, restarts=restarts)
    schedule = _schedule_change(wanted, difference, facts)
    changes += [
        change
        for change in (slot_change, _certbot_change(ask), nginx_change, schedule)
        if change is not None
    ]
    # Without changes there is no run, and hence no hooks.
    hooks = tuple(scripts) if changes else ()
    before = [change_of(each) for each in hooks if each.moment == "before_apply"]
    after = [change_of(each) for each in hooks if each.moment == "after_apply"]
    blocking = draining(facts, slot_to) if slot_to != slot_from else None
    unfit = list(find_archive_problems(wanted, facts)) if difference.load_image else []
    if slot_to != slot_from and restores is None:
        version = version_ahead(wanted, facts, takes=difference.takes, target=target)
        unfit += find_version_problems(wanted, facts, version, takes=bool(difference.takes))
    return ServerPlan(
        server=facts.server,
        facts=facts,
        desired=wanted,
        changes=(*before, *changes, *after),
        problems=(*find_problems(wanted, facts), *unfit),
        notes=(
            *find_notes(wanted, facts),
            *(() if difference.takes else _notes_on_updates(facts)),
            *_notes_on_transfers(blocking),
        ),
        writes=writes,
        removals=difference.removals,
        packages=difference.packages,
        folders=difference.folders,
        hooks=hooks,
        slot_from=slot_from,
        slot_to=slot_to,
        transfers_in_the_way=blocking.transfers if blocking else 0,
        takes_program=bool(difference.takes),
        restores=restores,
        package_version=difference.installs,
        proves_program=slot_from is not None and proves,
        load_image=difference.load_image,
        reload_nginx=nginx_change is not None,
        restart_nginx=restarts,
        drops_default_site=drops_default_site(wanted, facts),
        users_revision=users_revision,
        stays=tuple(stays),
        masks_packaged_registry=bool(why_mask(wanted, facts)),
        takes_over_packaged_registry=takes_over(wanted, facts),
        ask=ask,
        changes_schedule=schedule is not None,
    )


def _schedule_change(wanted: DesiredState, difference: _Difference, facts: Facts) -> Change | None:
    """Return the change of the timer that collects images, if any."""
    timer = PurePosixPath(layout.COLLECT_TIMER).name
    if not wanted.calendar:
        if layout.COLLECT_TIMER not in facts.files and not facts.is_active(timer):
            return None
        return Change(Kind.SERVICE, Action.RUN, f"{timer}: stop", "images are no longer collected")
    if difference.affects(Effect.SCHEDULE):
        why = "the schedule changes"
    elif not facts.is_active(timer):
        why = "it is not running"
    else:
        return None
    return Change(Kind.SERVICE, Action.RUN, f"{timer}: start", why)


def _notes_on_passwords(materials: Materials) -> Iterator[Note]:
    if materials.weak_passwords:
        yield Note(
            "weak_password",
            f"The password of {', '.join(materials.weak_passwords)} is easy to guess. Use another "
            "one, or let Moorage generate it.",
            ("credentials.users[].password",),
        )


def _notes_on_updates(facts: Facts) -> Iterator[Note]:
    if there := update_there(facts):
        yield Note("update_there", f"{there} until it is upgraded.")


def _notes_on_transfers(there: Draining | None) -> Iterator[Note]:
    """Yield what happens to open transfers of the slot that the run is about to start."""
    if there is None or not there.transfers:
        return
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(there.since))
    yield Note(
        "transfers_in_the_way",
        f"Slot {there.slot}, which this apply starts, is still sending {there.count} from before "
        f"the switch at {when} UTC. The apply waits up to {WAIT_SECONDS // 60} minutes and then "
        "fails with nothing changed.",
    )


def plan_users(
    facts: Facts, users: Sequence[RegistryUser], auth_key: Secret, revision: int
) -> ServerPlan:
    """Compare a server's users with the desired ones.

    Args:
        facts: The server's facts.
        users: The desired users.
        auth_key: A new key for nginx's cache of logins, which invalidates all cached logins.
        revision: The users' revision after the change.
    """
    wanted = desired_user_files(users, web_group_of(facts))
    recorded = recorded_digests(facts)
    files = [file for file in wanted if not _file_matches(file, facts)]
    kept = {file.path for file in wanted}
    removals = tuple(path for path in USER_FILES if path in facts.files and path not in kept)
    changes = [_file_change(file, facts, recorded) for file in files]
    changes += [_removal(path, facts, recorded) for path in removals]
    if changes:
        why = "its users change"
        if layout.AUTH_KEY in facts.files:
            files.append(desired_auth_key(auth_key))
            changes.append(_file_change(files[-1], facts, recorded))
        changes.append(Change(Kind.SERVICE, Action.RUN, "nginx: reload", why))
    answers = recorded_on(facts).answers
    hooks = hooks_of_users(answers, facts) if changes else ()
    lost = find_lost_hooks(answers, facts) if changes else ()
    broken = nginx_problems(
        facts,
        listens_as_deployed(facts),
        [file.path for file in files],
        is_asked_on_80=is_asked_on_80(answers),
    )
    slot = active_slot(facts) or "blue"
    return ServerPlan(
        server=facts.server,
        facts=facts,
        desired=_as_deployed(facts, slot),
        changes=(*changes, *map(change_of, hooks)),
        problems=(
            *run_going_on(facts),
            *read_only_folders(facts, installs=False),
            *misplaced_files(facts),
            *lost,
            *missing_nginx(facts),
            *broken,
        ),
        writes=tuple(files),
        removals=removals,
        hooks=hooks,
        slot_from=slot,
        slot_to=slot,
        reload_nginx=bool(changes),
        users_revision=revision,
    )


def _as_deployed(facts: Facts, slot: Slot) -> DesiredState:
    """Return the state of a registry that the run leaves as it is."""
    answers = recorded_on(facts).answers_here
    site = facts.files.get(layout.NGINX_SITE)
    return DesiredState(
        slot=slot,
        version=registry_version(answers),
        domain=answers.registry.domain,
        # Only its users change: checking one of its addresses is enough.
        listens=listens_as_deployed(facts)[:1],
        tls=answers.ssl.mode != "none",
        account=layout.ACCOUNT,
        storage_folder=None,
        store_id="",
        packages=(),
        folders=(),
        files=(),
        image=None,
        has_check=layout.CHECK_URL.encode() in (site.content if site is not None else b""),
    )


def _compare(
    wanted: DesiredState,
    facts: Facts,
    recorded: Mapping[str, str],
    stays: Collection[str],
    *,
    restores: Program | None,
    target: Target,
    is_new: bool,
) -> _Difference:
    files = tuple(file for file in wanted.files if not _file_matches(file, facts))
    # An image that is restored is held on the server.
    image = wanted.image if restores is None else None
    if restores:
        takes = why_restore(restores, facts)
    else:
        takes = why_take(wanted, facts, recorded) or why_upgrade(wanted, facts, target)
    return _Difference(
        packages=tuple(each for each in wanted.packages if not is_installed(each, facts)),
        folders=tuple(each for each in wanted.folders if not _folder_matches(each, facts)),
        files=files,
        removals=tuple(_obsolete_files(wanted, facts, stays)),
        remakes_storage=wanted.storage_folder is not None
        and wanted.storage_folder not in facts.folders,
        # Without an archive, an image that is there already need not be pulled.
        load_image=image is not None
        and bool(takes)
        and (image.archive is not None or facts.image is None),
        takes=takes,
        installs=target.version if takes and facts.packages.get(PACKAGE) != target.version else "",
        repairs=why_repair(facts),
        unfinished=frozenset(
            file.effect
            for file in wanted.files
            if not is_new and file not in files and recorded.get(file.path) != file.digest
        ),
    )


def _changes_before_services(
    wanted: DesiredState, difference: _Difference, facts: Facts, recorded: Mapping[str, str]
) -> Iterator[Change]:
    """Yield all changes except those of services, in the order in which the run makes them."""
    for package in difference.packages:
        yield Change(Kind.PACKAGE, Action.ADD, package.name, package.reason)
        if package.name == "nginx" and drops_default_site(wanted, facts):
            why = "its default site would need port 80, which another program uses"
            yield Change(Kind.FILE, Action.REMOVE, DEFAULT_SITE, why)
    if difference.installs:
        yield Change(Kind.PACKAGE, Action.CHANGE, PACKAGE, difference.takes)
    if why := why_mask(wanted, facts):
        yield Change(Kind.SERVICE, Action.RUN, "docker-registry: mask --now", why)
    if wanted.account not in facts.accounts:
        yield Change(Kind.ACCOUNT, Action.ADD, wanted.account, "runs the registry")
    if difference.load_image and wanted.image is not None:
        source = "copied from this machine" if wanted.image.archive else "pulled by the server"
        yield Change(Kind.IMAGE, Action.ADD, wanted.image.name, source)
    for folder in difference.folders:
        action = Action.CHANGE if folder.path in facts.folders else Action.ADD
        yield Change(Kind.FOLDER, action, folder.path, folder.reason)
    for file in difference.files:
        yield _file_change(file, facts, recorded)
    for path in difference.removals:
        yield _removal(path, facts, recorded)


def _slot(
    difference: _Difference, facts: Facts, slot_from: Slot | None
) -> tuple[Slot, Change | None]:
    """Return the slot that will get the traffic, and the change that this takes, if any."""
    if slot_from is None:
        return "blue", Change(Kind.SERVICE, Action.RUN, "registry: start blue", "the first run")
    other = layout.other(slot_from)
    why = None
    if not facts.is_active(layout.unit_name(slot_from)):
        why = "it is not running"
    elif any(file.effect is Effect.REGISTRY for file in difference.files):
        why = "the registry's configuration changes"
    elif difference.affects(Effect.REGISTRY):
        why = "the last run did not finish"
    elif difference.remakes_storage:
        why = "its image folder is gone"
    elif difference.takes or difference.repairs:
        why = difference.takes or difference.repairs
    if why is not None:
        return other, Change(
            Kind.SERVICE, Action.RUN, f"registry: switch {slot_from} to {other}", why
        )
    # A draining slot stops by itself.
    if facts.is_active(layout.unit_name(other)) and draining(facts, other) is None:
        why = "it gets no new requests; open transfers can finish"
        return slot_from, Change(Kind.SERVICE, Action.RUN, f"registry: stop {other}", why)
    return slot_from, None


def _certbot_change(ask: Ask | None) -> Change | None:
    if ask is None:
        return None
    return Change(Kind.SERVICE, Action.RUN, "certbot: get a certificate", ask.reason)


def _nginx_change(
    difference: _Difference,
    writes: tuple[DesiredFile, ...],
    facts: Facts,
    ask: Ask | None,
    *,
    restarts: bool,
) -> Change | None:
    if not facts.runs_nginx:
        return Change(Kind.SERVICE, Action.RUN, "nginx: start", "it is not running")
    if restarts:
        why = "a reload cannot change these listen addresses; open connections are cut"
        return Change(Kind.SERVICE, Action.RUN, "nginx: restart", why)
    removes = any(path.startswith("/etc/nginx/") for path in difference.removals)
    if removes or any(file.effect is Effect.NGINX for file in writes):
        return Change(Kind.SERVICE, Action.RUN, "nginx: reload", "its files change")
    if ask is not None:
        return Change(Kind.SERVICE, Action.RUN, "nginx: reload", "the certificate changes")
    if Effect.NGINX in difference.unfinished:
        return Change(Kind.SERVICE, Action.RUN, "nginx: reload", "the last run did not finish")
    return None


def _folder_matches(folder: DesiredFolder, facts: Facts) -> bool:
    there = facts.folders.get(folder.path)
    return there is not None and (there.mode, there.owner, there.group) == (
        folder.mode,
        folder.owner,
        folder.group,
    )


def _file_matches(file: DesiredFile, facts: Facts) -> bool:
    there = facts.files.get(file.path)
    return there is not None and (there.content, there.mode, there.owner, there.group) == (
        file.content,
        file.mode,
        file.owner,
        file.group,
    )


def _file_change(file: DesiredFile, facts: Facts, recorded: Mapping[str, str]) -> Change:
    there = facts.files.get(file.path)
    before = None if there is None else there.content.decode("utf-8", "replace")
    after = file.content.decode("utf-8", "replace")
    if there is not None and there.content == file.content:
        # Only owner or mode differ: the diff shows those.
        before = f"{there.owner}:{there.group} {there.mode:04o}\n"
        after = f"{file.owner}:{file.group} {file.mode:04o}\n"
    else:
        before, after = masked_pair(file.secret, before, after)
    was = recorded.get(file.path)
    drift = was is not None and (there is None or there.digest != was)
    action = Action.ADD if there is None else Action.CHANGE
    return Change(Kind.FILE, action, file.path, file.reason, before, after, drift)


def masked_pair(
    kind: SecretKind | None,
    before: str | None,
    after: str,
    labels: tuple[str, str] = (_BEFORE, _AFTER),
) -> tuple[str | None, str]:
    """Return a file's current and new text for display, without secrets.

    Args:
        kind: The file's format if it has secrets.
        before: Its text now; None if there is none.
        after: Its new text.
        labels: What marks masked lines that only one of the two has.
    """
    if kind is None:
        now = None if before is None else without_private_keys(before)
        return now, without_private_keys(after)
    now = None if before is None else masked(kind, before, labels[0], after, ours=after)
    return now, masked(kind, after, labels[1], before or "", ours=after)


def _removal(path: str, facts: Facts, recorded: Mapping[str, str]) -> Change:
    there = facts.files[path]
    kind = kind_of_secret(path)
    if kind is None and path not in recorded:
        # Moorage did not write it, so it could contain anything.
        kind = SecretKind.OPAQUE
    text = there.content.decode("utf-8", "replace")
    before = without_private_keys(text) if kind is None else masked(kind, text, _BEFORE)
    drift = path in recorded and recorded[path] != there.digest
    return Change(Kind.FILE, Action.REMOVE, path, "no longer needed", before, None, drift)


def _obsolete_files(wanted: DesiredState, facts: Facts, stays: Collection[str]) -> Iterator[str]:
    """Yield Moorage's files that are not in the desired state, such as an old hook."""
    kept = {file.path for file in wanted.files} | {*stays}
    if wanted.order is not None:
        # certbot and its hook write these.
        kept |= {layout.TLS_CERTIFICATE, layout.TLS_KEY, layout.RENEWAL}
    singles = {layout.NGINX_HTTP, layout.CERTBOT_DROP_IN, layout.RENEWAL, *layout.COLLECT_FILES}
    folders = (f"{layout.NGINX_ETC}/", f"{layout.ACME_ETC}/", f"{layout.HOOKS_ETC}/")
    for path in sorted(facts.files):
        if (path.startswith(folders) or path in singles) and path not in kept:
            yield path


def _in_slot(change: Change, slot: Slot) -> Change:
    """Return the change of a file with its path in a slot; one that was edited keeps its own."""
    before = layout.slot_files(layout.other(slot))
    if change.drift or change.subject not in before:
        return change
    return replace(change, subject=layout.slot_files(slot)[before.index(change.subject)])


def _for_other_slot(
    files: tuple[DesiredFile, ...], other: DesiredState, slot: Slot
) -> tuple[DesiredFile, ...]:
    """Return the same files for the other slot, and the upstream that moves traffic to it."""
    paths = {file.path for file in files} - {*layout.slot_files(layout.other(slot))}
    paths |= {*layout.slot_files(slot), layout.UPSTREAM}
    return tuple(file for file in other.files if file.path in paths)
