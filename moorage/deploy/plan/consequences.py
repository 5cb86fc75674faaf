"""The consequences of an apply for users and clients: lost logins, images no longer served.

Pure functions of the facts, the recorded answers and the new ones. Every confirmation shows these
first; docs/command-line.md lists the codes.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from moorage.answers.model import Answers, Storage
from moorage.answers.repository_rules import repositories_note
from moorage.answers.ssl import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from moorage.deploy.plan.acceptance import Accepted
from moorage.deploy.plan.store import missing_store, recorded_store
from moorage.deploy.record.deployment_json import (
    as_applied,
    deployment_record,
    line_of,
    other_domain,
)
from moorage.deploy.record.left_servers import LeftServer, left_by_label, members, read_user_lists
from moorage.deploy.record.revisions import Change, Revision, changed_paths, latest, users_changed
from moorage.desired import layout
from moorage.desired.certificates import describe, read_chain
from moorage.desired.registry import Mode, mode_of
from moorage.desired.state import Materials
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError
from moorage.registry_keys import registry_version
from moorage.servers.facts import Facts
from moorage.users.on_servers import UserList, latest_users

Need = Literal["removals", "regained", "begin_empty", "retention"]
"""What the operator has to accept explicitly: a field of :class:`Accepted`."""


class Code(StrEnum):
    """The kinds of consequences: stable codes, in the order in which they are shown."""

    NAME_NOT_SERVED = "name_not_served"
    STORE_MISSING = "store_missing"
    IMAGES_LEFT_BEHIND = "images_left_behind"
    RETENTION_REMOVES = "retention_removes"
    RETENTION_UNKNOWN = "retention_unknown"
    USERS_REMOVED = "users_removed"
    USERS_DISCARDED = "users_discarded"
    ACCESS_REGAINED = "access_regained"
    USERS_DISABLED = "users_disabled"
    ACCESS_REDUCED = "access_reduced"
    PASSWORDS_REPLACED = "passwords_replaced"
    NEW_PRIVATE_CA = "new_private_ca"
    CERTIFICATE_AUTHORITY = "certificate_authority"
    TLS_OFF = "tls_off"
    TLS_ON = "tls_on"
    PORT_CHANGED = "port_changed"
    SERVER_LEFT_OUT = "server_left_out"
    SERVER_JOINS = "server_joins"
    READ_ONLY = "read_only"
    PULL_THROUGH = "pull_through"
    SERVER_LEFT_BEFORE = "server_left_before"
    NEW_SERVER = "new_server"
    SERVER_RENAMED = "server_renamed"
    STORAGE_CHANGED = "storage_changed"
    REGISTRY_VERSION = "registry_version"
    RUNTIME_CHANGED = "runtime_changed"
    DEBUG_LISTENER = "debug_listener"
    USERS_ADDED = "users_added"
    USERS_ENABLED = "users_enabled"
    ACCESS_WIDENED = "access_widened"
    PASSWORDS_GENERATED = "passwords_generated"


_ORDER = list(Code)


@dataclass(frozen=True)
class Consequence:
    """Something that an apply changes for users or clients.

    Attributes:
        code: The kind of consequence.
        text: A sentence.
        is_destructive: Whether something stops working for a client, or cannot be undone.
        users: The affected users, by name.
        servers: The affected servers, by label; empty for the whole deployment.
        needs: What has to be accepted explicitly before an apply; None for nothing.
        unknown: The users that another operator changed after the revision the answers are based
            on: users to be removed that the answers never listed, or users to get back access that
            was revoked.
        before: The current value, where one is replaced.
        after: The new value.
        note: What to know about it; empty if there is nothing.
    """

    code: Code
    text: str
    is_destructive: bool = False
    users: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    needs: Need | None = None
    unknown: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    note: str = ""

    def sentence(self, servers: int) -> str:
        """Return the text and its note, with the servers where not all of them are affected.

        Args:
            servers: The number of servers in the deployment.
        """
        text = f"{self.text} {self.note}." if self.note else self.text
        if self.code in _NAME_SERVERS or not 0 < len(self.servers) < servers:
            return text
        return f"{text} ({', '.join(self.servers)})"


_NAME_SERVERS = {
    Code.USERS_DISCARDED, Code.SERVER_LEFT_OUT, Code.SERVER_LEFT_BEFORE, Code.SERVER_JOINS,
    Code.SERVER_RENAMED, Code.NEW_SERVER,
}  # fmt: skip
"""The consequences whose text has the servers."""


@dataclass(frozen=True)
class _Server:
    """A server, the answers applied to it last (None on a new server), and the new answers."""

    facts: Facts
    recorded: Answers | None
    answers: Answers
    materials: Materials = field(repr=False)


def find_consequences(
    answers: Answers,
    materials: Materials,
    every: Sequence[Facts],
    others: Iterable[Consequence] = (),
    *,
    changes_users: bool = True,
    left: Iterable[LeftServer] = (),
    outside: Sequence[Facts] = (),
) -> tuple[Consequence, ...]:
    """Return what an apply changes for users and clients, destructive changes first.

    Args:
        answers: What the operator decided.
        materials: Secrets, hashes, certificates and the desired users.
        every: The facts of each server.
        others: Consequences that cannot be found by these, such as those for images.
        changes_users: Whether the run changes users; a rollback does not.
        left: The servers that leave, or left before and were not uninstalled.
        outside: The facts of servers that the apply leaves as they are.
    """
    found: list[Consequence] = [*others]
    known = {(each.code, server) for each in found for server in each.servers}
    for facts in every:
        server = _Server(facts, _recorded(facts), answers.for_server(facts.server), materials)
        for find in (_name, _port, _storage, _certificate, _modes, _version, _renamed):
            found += (each for each in find(server) if (each.code, facts.server) not in known)
    shared = (*every, *outside)
    if changes_users:
        found += _users(answers, materials, every, shared)
    found += _left_out(left)
    found += _joining(answers, shared)
    found += _new_servers(answers, shared)
    return _in_order(_joined(found))


def refusals(consequences: Iterable[Consequence], accepted: Accepted) -> tuple[MoorageError, ...]:
    """Return why a plan cannot be applied yet: what still has to be accepted.

    Args:
        consequences: The plan's consequences.
        accepted: What the operator has accepted.
    """
    found = []
    for each in consequences:
        if each.needs == "begin_empty" and not accepted.begin_empty:
            advice, code = _BEGINS_EMPTY[each.code]
            found.append(
                MoorageError(each.text, advice=advice, server=_only(each.servers), code=code)
            )
        elif each.needs == "retention" and not accepted.retention:
            advice = "Change the rules or the schedule, or accept it with --accept-retention."
            found.append(MoorageError(each.text, advice=advice, code="retention_not_accepted"))
        elif each.needs is not None and each.needs in _ABOUT_USERS:
            allowed = accepted.removals if each.needs == "removals" else accepted.regained
            if missing := [name for name in each.unknown if name not in allowed]:
                what, advice = _ABOUT_USERS[each.needs]
                text = f"{_count(len(missing), 'user')} {what}: {', '.join(missing)}."
                found.append(MoorageError(text, advice=advice, code=f"{each.needs}_not_accepted"))
    return tuple(found)


_ABOUT_USERS: Mapping[Need, tuple[str, str]] = {
    "removals": (
        "would be removed that the answers did not know",
        "Add them to the answers, or accept it with --accept-removals.",
    ),
    "regained": (
        "would get back access that was taken away after these answers were written",
        "Change them in the answers, or accept it with --accept-regained.",
    ),
}
"""By need: what would happen to the users, and what to do about it."""


_BEGINS_EMPTY = {
    Code.IMAGES_LEFT_BEHIND: (
        "Keep the storage, or accept it with --begin-empty; the old images stay where they are.",
        "storage_has_images",
    ),
    Code.STORE_MISSING: (
        "Mount the disk, or bring the folder back, and apply again; or accept it with "
        "--begin-empty.",
        "store_missing",
    ),
}
"""What to do instead of beginning empty, and the error's code."""


def _only(servers: Sequence[str]) -> str | None:
    return servers[0] if len(servers) == 1 else None


def accepting(consequences: Sequence[Consequence]) -> Accepted:
    """Return what an operator who confirms these consequences accepts."""
    begins_empty = any(each.needs == "begin_empty" for each in consequences)
    return Accepted(
        users_of(Code.USERS_REMOVED, consequences),
        users_of(Code.ACCESS_REGAINED, consequences),
        begins_empty,
        retention=any(each.needs == "retention" for each in consequences),
    )


def users_of(code: Code, consequences: Iterable[Consequence]) -> frozenset[str]:
    """Return the users affected by consequences of one kind, by name."""
    return frozenset(name for each in consequences if each.code is code for name in each.users)


def base_of(answers: Answers, every: Sequence[Facts], revision: Revision) -> int | None:
    """Return the revision that answers are based on, or None when it is not reliable.

    It is not when the file has none, when it is newer than the servers' (they were restored from a
    backup, or the file belongs to another deployment), when the registry's name differs, or when
    more has changed since than the servers keep in their history.

    Args:
        answers: What the operator decided.
        every: The facts of each server.
        revision: The deployment's revision.
    """
    is_taken_over = any(other_domain(facts, answers.registry.domain) for facts in every)
    is_known = not is_taken_over and revision.knows(answers.based_on)
    return answers.based_on if is_known else None


def change_of_apply(answers: Answers, materials: Materials, every: Sequence[Facts]) -> Change:
    """Return what an apply changes, for the record, without a revision number.

    Args:
        answers: What the operator decided.
        materials: The desired users.
        every: The facts of each server.
    """
    current = latest_users(read_user_lists(every))
    places = {
        place
        for recorded in map(as_applied, every)
        if recorded is not None
        for place in changed_paths(recorded.recorded.values, answers)
    }
    users = users_changed(current.users if current else (), materials.users)
    return replace(users, answers=tuple(sorted(places)))


def _recorded(facts: Facts) -> Answers | None:
    """Return the answers applied to a server last, with the server's own runtime and image."""
    recorded = as_applied(facts)
    return recorded.answers_here if recorded is not None else None


# --- users -----------------------------------------------------------------------------------


def _users(
    answers: Answers, materials: Materials, every: Sequence[Facts], shared: Sequence[Facts]
) -> Iterator[Consequence]:
    user_lists = read_user_lists(shared)
    current = latest_users(user_lists)
    user_lists = user_lists[: len(every)]
    desired = {user.name: user for user in materials.users}
    existing = {user.name: user for user in current.users} if current else {}
    revision = latest(shared)
    base = base_of(answers, shared, revision)
    yield from _removed(user_lists, desired, revision, base)
    yield from _discarded(user_lists, current)
    added = [name for name in desired if name not in existing]
    pairs = [(existing[name], user) for name, user in desired.items() if name in existing]
    yield from _regained(existing, desired, revision.since(base))
    disabled = [now.name for was, now in pairs if now.disabled and not was.disabled]
    if disabled:
        text = f"{_count(len(disabled), 'user')} can no longer log in (disabled): "
        yield _of_users(Code.USERS_DISABLED, text, disabled, destructive=True)
    reduced = [now.name for was, now in pairs if not now.disabled and _shrinks(was, now)]
    if reduced:
        text = f"{_count(len(reduced), 'user')} {_get(reduced)} less access: "
        yield _with_note(_of_users(Code.ACCESS_REDUCED, text, reduced, destructive=True), desired)
    replaced = [now.name for was, now in pairs if was.hash != now.hash]
    if replaced:
        text = f"{_count(len(replaced), 'user')} {_get(replaced)} another password: "
        yield _of_users(Code.PASSWORDS_REPLACED, text, replaced, destructive=True)
    if added:
        text = f"{_count(len(added), 'user')} {_is(added)} added: "
        yield _with_note(_of_users(Code.USERS_ADDED, text, added), desired)
    enabled = [now.name for was, now in pairs if was.disabled and not now.disabled]
    if enabled:
        text = f"{_count(len(enabled), 'user')} can log in again: "
        yield _of_users(Code.USERS_ENABLED, text, enabled)
    widened = [now.name for was, now in pairs if not now.disabled and _shrinks(now, was)]
    if widened:
        text = f"{_count(len(widened), 'user')} {_get(widened)} more access: "
        yield _with_note(_of_users(Code.ACCESS_WIDENED, text, widened), desired)
    if generated := list(materials.generated):
        head = "A password is" if len(generated) == 1 else "Passwords are"
        yield _of_users(Code.PASSWORDS_GENERATED, f"{head} generated for ", generated)


def _of_users(
    code: Code, text: str, names: Sequence[str], *, destructive: bool = False
) -> Consequence:
    return Consequence(code, f"{text}{', '.join(names)}.", destructive, tuple(names))


def _with_note(found: Consequence, desired: Mapping[str, RegistryUser]) -> Consequence:
    """Add what to know about the users' new access."""
    rules = [desired[name].repositories for name in found.users]
    return replace(found, note=repositories_note(*rules))


def _removed(
    user_lists: Sequence[UserList],
    desired: Mapping[str, RegistryUser],
    revision: Revision,
    base: int | None,
) -> Iterator[Consequence]:
    """Yield the users that will be removed from any server; a hand-edited one can have more."""
    places: dict[str, list[str]] = {}
    for user_list in user_lists:
        for user in user_list.users:
            if user.name not in desired:
                places.setdefault(user.name, []).append(user_list.server)
    if not places:
        return
    known: set[str] = set()
    if base is not None:
        known = {name for user_list in user_lists for name in user_list.declared}
        known |= {name for change in revision.history for name in change.removed}
        known -= {name for change in revision.since(base) for name in change.added}
    names = sorted(places)
    unknown = tuple(name for name in names if name not in known)
    everywhere = all(len(servers) == len(user_lists) for servers in places.values())
    text = f"{_count(len(names), 'user')} {_is(names)} removed: {', '.join(names)}."
    yield Consequence(
        Code.USERS_REMOVED,
        text,
        is_destructive=True,
        users=tuple(names),
        servers=() if everywhere else tuple(dict.fromkeys(
            server for servers in places.values() for server in servers
        )),
        needs="removals" if unknown else None,
        unknown=unknown,
    )  # fmt: skip


def _discarded(user_lists: Sequence[UserList], current: UserList | None) -> Iterator[Consequence]:
    """Yield the users that a server has changed while it was not part of the deployment."""
    for each in user_lists:
        if current is None or not each.has_left or each.revision <= current.revision:
            continue
        changed = users_changed(current.users, each.users)
        names = sorted({*changed.added, *changed.removed, *changed.changed})
        if names:
            yield Consequence(
                Code.USERS_DISCARDED,
                f"Users that were changed on {each.server} while it was not part of the deployment "
                f"get what they have on {current.server}: {', '.join(names)}.",
                is_destructive=True,
                users=tuple(names),
                servers=(each.server,),
            )


def _regained(
    existing: Mapping[str, RegistryUser],
    desired: Mapping[str, RegistryUser],
    since: Sequence[Change],
) -> Iterator[Consequence]:
    """Yield the users who would get back access revoked after the answers were written."""
    removed = {name for each in since for name in each.removed}
    touched = removed | {name for each in since for name in each.changed}
    names = []
    for name in sorted(touched & desired.keys()):
        was, now = existing.get(name), desired[name]
        if now.disabled:
            continue
        if was is None:
            is_back = name in removed
        else:
            is_back = was.disabled or was.hash != now.hash or _shrinks(now, was)
        if is_back:
            names.append(name)
    if not names:
        return
    text = (
        f"{_count(len(names), 'user')} {_get(names)} back what was taken away after these answers "
        f"were written (login, password or access): {', '.join(names)}."
    )
    yield Consequence(
        Code.ACCESS_REGAINED, text, is_destructive=True, users=tuple(names), needs="regained",
        unknown=tuple(names),
    )  # fmt: skip


def _shrinks(was: RegistryUser, now: RegistryUser) -> bool:
    """Whether a user loses any access."""
    if was.access is None:
        return False
    if was.access == "push" and now.access != "push":
        return True
    return not all(_covers(now.repositories, rule) for rule in was.repositories or ("*",))


def _covers(rules: Sequence[str], rule: str) -> bool:
    """Whether rules allow everything that one rule allows."""
    if not rules:
        return True
    return any(
        rule == each or (each.endswith("/*") and rule.startswith(each[:-1])) for each in rules
    )


# --- one server -----------------------------------------------------------------------------


def _name(server: _Server) -> Iterator[Consequence]:
    if there := other_domain(server.facts, server.answers.registry.domain):
        now = server.answers.registry.domain
        yield _replaced(
            server, Code.NAME_NOT_SERVED,
            f"{there} will no longer be served: the registry's name becomes {now}.",
            there, now, destructive=True,
        )  # fmt: skip


def _port(server: _Server) -> Iterator[Consequence]:
    was, now = server.recorded, server.answers
    if was is not None and was.registry.port != now.registry.port:
        before, after = str(was.registry.port), str(now.registry.port)
        yield _replaced(
            server, Code.PORT_CHANGED,
            f"The port changes from {before} to {after}: clients have to use the new one.",
            before, after, destructive=True,
        )  # fmt: skip


def _storage(server: _Server) -> Iterator[Consequence]:
    if why := missing_store(server.facts):
        text = f"{why[0].upper()}{why[1:]} The registry begins empty there."
        gone = _replaced(server, Code.STORE_MISSING, text, "", "", destructive=True)
        yield replace(gone, needs="begin_empty")
    was, now = server.recorded, server.answers
    if was is None or _place(was.storage) == _place(now.storage):
        return
    before, after = store_in_words(was.storage), store_in_words(now.storage)
    folder = server.facts.store if now.storage.driver == "filesystem" else None
    has_images = folder is not None and folder.has_images
    if not _has_images(was.storage, server.facts):
        text = f"Images will be stored in {after} instead of {before}, which has none."
        if has_images:
            text = f"The images in {after} will be served; {before} has none."
        yield _replaced(server, Code.STORAGE_CHANGED, text, before, after)
        return
    then = f"begins empty in {after}"
    if has_images or now.storage.driver == "s3":
        then = f"serves {'the images' if has_images else 'what is'} in {after}"
    left = _replaced(
        server, Code.IMAGES_LEFT_BEHIND,
        f"The images in {before} will no longer be served: the registry {then}.",
        before, after, destructive=True,
    )  # fmt: skip
    yield replace(left, needs="begin_empty")


def _place(storage: Storage) -> tuple[str, ...]:
    """Return what identifies a store."""
    s3 = storage.s3
    if storage.driver != "s3" or s3 is None:
        return ("filesystem", storage.filesystem.path.rstrip("/"))
    endpoint = (s3.regionendpoint or "").partition("://")[2].strip("/").lower()
    if endpoint.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        endpoint = ""
    return ("s3", endpoint, s3.bucket, (s3.rootdirectory or "").strip("/"))


def store_in_words(storage: Storage) -> str:
    """Return where images are stored, for display: a folder, or a bucket and its endpoint."""
    s3 = storage.s3
    if storage.driver != "s3" or s3 is None:
        return storage.filesystem.path
    prefix = (s3.rootdirectory or "").strip("/")
    place = f"s3://{s3.bucket}" + (f"/{prefix}" if prefix else "")
    return f"{place} at {s3.regionendpoint}" if s3.regionendpoint else place


def _has_images(storage: Storage, facts: Facts) -> bool:
    """Whether a store has images according to the server; unknown counts as yes."""
    folder = storage.filesystem.path
    there, recorded = facts.images.get(folder), recorded_store(facts)
    if storage.driver != "filesystem" or there is None:
        return True
    # If the marker left in it is gone, its disk is missing.
    is_missing = (
        recorded is not None and recorded.folder == folder and (recorded.marker != there.marker)
    )
    return there.has_images or is_missing


def _certificate(server: _Server) -> Iterator[Consequence]:
    was, now = server.recorded, server.answers
    if was is None:
        return
    if now.ssl.mode == "none" or was.ssl.mode == "none":
        if was.ssl.mode != now.ssl.mode:
            yield _tls(server, on=was.ssl.mode == "none")
        return
    before, after = _current_authority(server), _next_authority(server)
    if before is None or after is None or before == after:
        return
    if now.ssl.mode == "private_ca":
        why = ""
        if was.ssl.mode == "private_ca" and server.materials.creates_ca:
            why = ", because this machine does not have the key of the old one"
        new = "a new private CA" if server.materials.creates_ca else after.name
        private = _replaced(
            server, Code.NEW_PRIVATE_CA,
            f"The certificate will be issued by {new} instead of {before.name}{why}: every client "
            "has to trust it.",
            before.name, after.name, destructive=True,
        )  # fmt: skip
        yield replace(private, note=_until_clients_trust(before))
        return
    is_public = now.ssl.mode == "acme" and now.ssl.acme.url == LETS_ENCRYPT
    sentence = f"The certificate will be issued by {after.name} instead of {before.name}"
    other = _replaced(
        server, Code.CERTIFICATE_AUTHORITY,
        f"{sentence}." if is_public else f"{sentence}: clients have to trust it.",
        before.name, after.name, destructive=not is_public,
    )  # fmt: skip
    yield other if is_public else replace(other, note=_until_clients_trust(before))


def _until_clients_trust(before: _Authority) -> str:
    return (
        f"Clients that trust only {before.name} fail until they get the new lines from "
        "'moorage clients'"
    )


def _tls(server: _Server, *, on: bool) -> Consequence:
    if on:
        text = "TLS is turned on: clients have to connect with https."
        return _replaced(
            server, Code.TLS_ON, text, "none", server.answers.ssl.mode, destructive=True
        )
    was = server.recorded.ssl.mode if server.recorded is not None else ""
    text = "TLS is turned off: passwords travel unencrypted, and clients that expect https fail."
    return _replaced(server, Code.TLS_OFF, text, was, "none", destructive=True)


@dataclass(frozen=True)
class _Authority:
    """An issuer of certificates; two with the same key are the same to clients."""

    key: str
    name: str = field(compare=False)


def _current_authority(server: _Server) -> _Authority | None:
    """Return the issuer of the certificate that a server has."""
    was = server.recorded
    if was is not None and was.ssl.mode == "acme":
        return _of_directory(was.ssl.acme.url)
    file = server.facts.files.get(layout.TLS_CERTIFICATE)
    is_private = was is not None and was.ssl.mode == "private_ca"
    return _issuer(file.content, is_private=is_private) if file else None


def _next_authority(server: _Server) -> _Authority | None:
    """Return the issuer of the certificate that a server will get."""
    materials, now = server.materials, server.answers
    if now.ssl.mode == "acme":
        return _of_directory(now.ssl.acme.url)
    is_private = now.ssl.mode == "private_ca"
    pem = materials.ca_certificate if is_private else materials.certificate
    return _issuer(pem, is_private=is_private) if pem else None


def _of_directory(directory: str) -> _Authority:
    names = {LETS_ENCRYPT: "Let's Encrypt", LETS_ENCRYPT_STAGING: "Let's Encrypt's staging"}
    return _Authority(f"acme {directory}", names.get(directory, directory))


def _issuer(pem: bytes, *, is_private: bool) -> _Authority | None:
    """Return the issuer of the first certificate in a PEM file.

    A public authority changes its intermediates between renewals, so it is identified by its
    organization; a private one by its own certificate, the last in the file. A private CA whose
    certificates are used as own files has the registry's name as its organization, as every CA
    for that name has: its key tells it from the next one.
    """
    try:
        chain = read_chain(pem)
    except ValueError:
        return None
    if is_private:
        authority = chain[-1]
        return _Authority(authority.fingerprint(hashes.SHA256()).hex(), _common(authority.subject))
    issuer = chain[0].issuer
    organization = issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    name = str(organization[0].value) if organization else _common(issuer)
    if name in describe(pem).names:
        return _Authority(f"key {_issuer_key(chain[0])}", _common(issuer))
    if "let's encrypt" in name.lower():
        return _of_directory(LETS_ENCRYPT)
    return _Authority(f"issuer {name}", name)


def _issuer_key(leaf: x509.Certificate) -> str:
    """Return the identifier of the key that signed a certificate, or empty."""
    try:
        issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except (ValueError, x509.ExtensionNotFound):
        return ""
    return (issuer.key_identifier or b"").hex()


def _common(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def _modes(server: _Server) -> Iterator[Consequence]:
    """Yield the modes that new settings put the registry into: cache, read-only, debug."""
    now = mode_of(server.answers)
    was = mode_of(server.recorded) if server.recorded is not None else Mode()
    if now.upstream and now.upstream != was.upstream:
        yield _replaced(
            server, Code.PULL_THROUGH,
            f"The registry becomes a pull-through cache of {now.upstream}: pushes are refused.",
            was.upstream, now.upstream, destructive=True,
        )  # fmt: skip
    if now.is_read_only and not was.is_read_only:
        text = "The registry becomes read-only: pushes and deletions are refused."
        yield _replaced(server, Code.READ_ONLY, text, "", "", destructive=True)
    if now.has_debug_listener and not was.has_debug_listener:
        text = (
            "The registry's debug listener opens its metrics and profiles to every account on the "
            "server, without a password."
        )
        yield _replaced(server, Code.DEBUG_LISTENER, text, "", "")


def _version(server: _Server) -> Iterator[Consequence]:
    was, now = server.recorded, server.answers
    if was is None:
        return
    before, after = _runs(was), _runs(now)
    if was.registry.runtime != now.registry.runtime:
        yield _replaced(
            server, Code.RUNTIME_CHANGED,
            f"The registry will run as {after} instead of {before}.", before, after,
        )  # fmt: skip
    versions = registry_version(was), registry_version(now)
    is_other_image = was.registry.runtime == now.registry.runtime and before != after
    if versions[0] != versions[1] or is_other_image:
        change = versions if versions[0] != versions[1] else (before, after)
        yield _replaced(
            server, Code.REGISTRY_VERSION,
            f"The registry changes from {version_in_words(change[0])} to "
            f"{version_in_words(change[1])}.",
            *change,
        )  # fmt: skip


def _runs(answers: Answers) -> str:
    registry = answers.registry
    if registry.runtime == "package":
        return "the package docker-registry"
    return f"{registry.image} in {registry.runtime.capitalize()}"


def version_in_words(version: str) -> str:
    """Return a version for display; a package or an image is its own name."""
    return f"version {version}" if version[:1].isdigit() else version


def _renamed(server: _Server) -> Iterator[Consequence]:
    label = line_of(deployment_record(server.facts).get("server")) or server.facts.server
    if label != server.facts.server:
        text = f"{label} is called {server.facts.server} from now on."
        yield _replaced(server, Code.SERVER_RENAMED, text, label, server.facts.server)


def _replaced(
    server: _Server, code: Code, text: str, before: str, after: str, *, destructive: bool = False
) -> Consequence:
    return Consequence(
        code, text, destructive, servers=(server.facts.server,), before=before, after=after
    )


# --- all servers ----------------------------------------------------------------------------


def _left_out(left: Iterable[LeftServer]) -> Iterator[Consequence]:
    """Yield the servers that leave with this apply, and those that left before."""
    for each in left:
        note = _WRITES_TO_BUCKET if each.bucket else ""
        note += f"{each.uninstall} removes it"
        if not each.at:
            text = (
                f"{each.label} is no longer part of the deployment: its registry keeps running, "
                "but gets no more changes."
            )
        else:
            text = f"{each.label} left the deployment{each.when}, and was not uninstalled."
            note += f"; --gone {shlex.quote(each.label)} forgets it if it no longer exists"
        code = Code.SERVER_LEFT_BEFORE if each.at else Code.SERVER_LEFT_OUT
        yield Consequence(code, text, not each.at, servers=(each.label,), note=note)


_WRITES_TO_BUCKET = (
    "It still writes to the bucket, so no images can be deleted before it is removed. "
)


def _joining(answers: Answers, shared: Sequence[Facts]) -> Iterator[Consequence]:
    """Yield the servers that no server's record has."""
    recorded = [each for each in map(as_applied, members(shared)) if each is not None]
    known = {server.host for each in recorded for server in each.servers}
    known |= {each.server for each in recorded if each.label in known}
    left = left_by_label(shared)
    joining = [each.host for each in answers.servers if each.host not in known or each.host in left]
    if not recorded:
        return
    revision = latest(shared)
    base = base_of(answers, shared, revision)
    unseen = [
        each for each in revision.since(base) if base is not None and "servers" in each.answers
    ]
    for label in joining:
        text = f"{label} joins the deployment."
        if label in left:
            text = f"{label}, which left the deployment{left[label].when}, joins it again."
        note = ""
        if unseen:
            note = f"These answers are from before the servers were changed ({unseen[-1]})"
        yield Consequence(Code.SERVER_JOINS, text, bool(unseen), servers=(label,), note=note)


def _new_servers(answers: Answers, every: Sequence[Facts]) -> Iterator[Consequence]:
    """Yield the servers that have no record of the deployment the answers belong to."""
    if not answers.based_on or any(layout.DEPLOYMENT in facts.files for facts in every):
        return  # If other servers have a record, this one was added.
    for facts in every:
        there = facts.store
        images = ""
        if there is not None:
            state = "are served" if there.has_images else "are missing, so it begins empty"
            images = f" Its images {state} ({there.folder})."
        yield Consequence(
            Code.NEW_SERVER,
            f"Nothing is deployed on {facts.server}, although these answers were applied before "
            f"(revision {answers.based_on}): it is a different or "
            f"reinstalled machine, or the registry was uninstalled.{images}",
            servers=(facts.server,),
        )


def _joined(found: Iterable[Consequence]) -> list[Consequence]:
    """Merge equal consequences on several servers into one."""
    joined: dict[tuple[Code, str], Consequence] = {}
    for each in found:
        same = joined.get((each.code, each.text))
        if same is not None:
            servers = tuple(dict.fromkeys((*same.servers, *each.servers)))
            each = replace(each, servers=servers)  # noqa: PLW2901
        joined[each.code, each.text] = each
    return list(joined.values())


def _in_order(found: Iterable[Consequence]) -> tuple[Consequence, ...]:
    return tuple(sorted(found, key=lambda each: (not each.is_destructive, _ORDER.index(each.code))))


def _count(number: int, one: str) -> str:
    return f"{number} {one}" + ("" if number == 1 else "s")


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _get(names: Sequence[str]) -> str:
    return "gets" if len(names) == 1 else "get"
