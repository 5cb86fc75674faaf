"""Gather the materials of desired state: secrets, password hashes, certificates."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from moorage.answers.model import Answers, PrivateCa, User
from moorage.answers.resolve import pulls_image
from moorage.answers.secrets import Generated, Hash, PasswordReference, Secret, SecretReference
from moorage.answers.ssl import acme_references
from moorage.deploy.certificates import ca
from moorage.deploy.image_archive import read_archive
from moorage.deploy.plan.platform import scheme_for
from moorage.deploy.record.left_servers import read_user_lists
from moorage.deploy.run.hooks import read_scripts
from moorage.desired import layout
from moorage.desired.certificates import find_faults, pem_fault, read_chain
from moorage.desired.registry import read_http_secret
from moorage.desired.state import Materials
from moorage.desired.users import RegistryUser, user_files
from moorage.errors import AnswersError, Problem
from moorage.local_file import LocalFileError, read_file
from moorage.registry_keys import secret_fault
from moorage.servers.facts import Facts
from moorage.users.on_servers import USER_FILES, UserList, latest_users
from moorage.users.passwords import (
    Scheme,
    generate_password,
    hash_password,
    password_problem,
    verify_password,
)
from moorage.users.strength import estimate

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_ENVIRONMENT = "registry.environment."
_KEY = re.compile(r"[0-9a-f]{64}")
_OPENS_CA = "ssl.private_ca.passphrase"

Resolve = Callable[[SecretReference, str], Secret]
"""Resolves a reference; the second argument is its path in the answers, for messages."""


Verify = Callable[[Secret, str], bool]
"""Returns whether a password matches a hash."""


def gather(
    answers: Answers, facts: Sequence[Facts], resolve: Resolve, verify: Verify = verify_password
) -> Materials:
    """Resolve what the answers refer to, and reuse what the servers have.

    Generated values (the HTTP secret, passwords, the private CA's certificate) are read back from
    the servers, so that applying the same answers twice changes nothing.

    Args:
        answers: What the operator decided.
        facts: The facts of all servers, or of enough to know what they share.
        resolve: Resolves secret references.
        verify: Checks passwords, or knows the result already.

    Raises:
        SecretUnavailable: A secret reference cannot be resolved.
        AnswersError: A certificate, key, hook, image archive or password cannot be used.
    """
    resolved = _resolve_all(answers, resolve)
    archive = read_archive(answers)
    current = latest_users(read_user_lists(facts))
    users, generated, weak = _users(answers, current, resolve, verify, scheme_for(facts))
    changes_users = current is None or frozenset(users) != frozenset(current.users)
    certificate = _certificate(answers, facts, resolve)
    return Materials(
        http_secret=_http_secret(facts),
        auth_key=_auth_key(facts, users),
        secrets=resolved,
        users=users,
        kept_users=tuple(user.name for user in users[len(answers.credentials.users) :]),
        users_revision=(current.revision if current else 0) + changes_users,
        certificate=certificate.certificate,
        certificate_key=certificate.key,
        ca_certificate=certificate.authority,
        creates_ca=certificate.creates_authority,
        keep=certificate.keep,
        acme_ca=_acme_ca(answers),
        generated=generated,
        weak_passwords=weak,
        hooks=read_scripts(answers),
        new_store_id=secrets.token_hex(8),
        image_archive_digest=archive.digest if archive is not None else None,
        image_archive_names=archive.names if archive is not None else None,
    )


def _resolve_all(answers: Answers, resolve: Resolve) -> dict[str, Secret]:
    references: dict[str, SecretReference] = {}
    s3 = answers.storage.s3
    if answers.storage.driver == "s3" and s3 is not None and s3.accesskey and s3.secretkey:
        references["storage.s3.accesskey"] = s3.accesskey
        references["storage.s3.secretkey"] = s3.secretkey
    for name, value in answers.registry.environment.items():
        if not isinstance(value, (str, int, bool)):
            references[f"{_ENVIRONMENT}{name}"] = value
    if answers.registry.image_login is not None and pulls_image(answers):
        references["registry.image_login.password"] = answers.registry.image_login.password
    if answers.ssl.mode == "acme":
        for parts, reference in acme_references(answers.ssl.acme).items():
            references[".".join(("ssl", "acme", *parts))] = reference
    resolved = {path: resolve(reference, path) for path, reference in references.items()}
    faults = [_at(path, fault) for path, each in resolved.items() if (fault := _fault(path, each))]
    if faults:
        raise AnswersError(faults)
    for path, secret in resolved.items():
        check_for_certbot(path, secret)
    return resolved


def _fault(path: str, secret: Secret) -> str:
    """Return why a secret cannot be used, without quoting it; empty when it can."""
    text = secret.reveal()
    if path.startswith(_ENVIRONMENT):
        return secret_fault(path.removeprefix(_ENVIRONMENT), text)
    if any(ord(character) < 32 for character in text):
        return "the secret contains a control character"
    return ""


def check_for_certbot(path: str, secret: Secret) -> None:
    """Raise AnswersError when a secret cannot be written to certbot's files."""
    text = secret.reveal()
    if not path.startswith("ssl.acme.") or path.endswith(".service_account"):
        return
    if not re.fullmatch(r"[!$&-+\--~]+", text) or any(each in text for each in "'`"):
        message = "the secret contains a character that certbot cannot read: space # % , \" ' `"
        raise AnswersError([_at(path, message)])
    if path.endswith(".hmac") and not re.fullmatch(r"[A-Za-z0-9_-]+=*", text):
        raise AnswersError(
            [_at(path, "must be the HMAC key in base64url, as the authority shows it")]
        )


def _acme_ca(answers: Answers) -> bytes | None:
    acme = answers.ssl.acme
    if answers.ssl.mode != "acme" or acme.ca_file is None:
        return None
    content = _read(acme.ca_file, "ssl", "acme", "ca_file")
    if fault := pem_fault(content, "certificate"):
        raise AnswersError([_at("ssl.acme.ca_file", fault[1])])
    try:
        read_chain(content)
    except ValueError:
        message = "the file contains no PEM certificate (-----BEGIN CERTIFICATE-----)"
        raise AnswersError([_at("ssl.acme.ca_file", message)]) from None
    return content


def _users(
    answers: Answers, current: UserList | None, resolve: Resolve, verify: Verify, scheme: Scheme
) -> tuple[tuple[RegistryUser, ...], dict[str, Secret], tuple[str, ...]]:
    """Return the desired users, new generated passwords by user, and users with weak new passwords.

    Users that were never in the answers were added on the servers and stay. Users from the answers
    applied last that are no longer listed are removed.
    """
    present = {user.name: user for user in current.users} if current else {}
    generated: dict[str, Secret] = {}
    weak: list[str] = []

    def hash_of(numbered: tuple[int, User]) -> str:
        position, user = numbered
        old_hash = present[user.name].hash if user.name in present else None
        reference: PasswordReference = user.password
        if isinstance(reference, Hash):
            return reference.hash
        if isinstance(reference, Generated):
            if old_hash is not None:
                return old_hash
            generated[user.name] = password = generate_password()
            return hash_password(password, scheme)
        where = f"credentials.users[{position}].password"
        password = resolve(reference, where)
        check_password(password, where)
        if old_hash is not None and verify(password, old_hash):
            return old_hash
        if estimate(password.reveal(), [user.name]).is_weak:
            weak.append(user.name)
        return hash_password(password, scheme)

    listed = answers.credentials.users
    # bcrypt releases the GIL, so several users take little longer than one.
    with ThreadPoolExecutor(max_workers=8) as pool:
        hashes = list(pool.map(hash_of, enumerate(listed)))
    users = [
        RegistryUser(user.name, value, user.access, user.repositories, user.disabled)
        for user, value in zip(listed, hashes, strict=True)
    ]
    names = {user.name.lower() for user in listed}
    users += [
        user
        for user in present.values()
        if current and user.name.lower() not in names and user.name not in current.declared
    ]
    return tuple(users), generated, tuple(sorted(weak))


def check_password(password: Secret, where: str) -> None:
    """Raise AnswersError, with the reason, when a password cannot be used."""
    if fault := password_problem(password):
        raise AnswersError([_at(where, fault)])


def _http_secret(facts: Sequence[Facts]) -> Secret:
    for each in facts:
        file = each.files.get(layout.REGISTRY_ENV)
        there = read_http_secret(file.content) if file else None
        if there is not None:
            return there
    return Secret(secrets.token_hex(32))


def _auth_key(facts: Sequence[Facts], users: Sequence[RegistryUser]) -> Secret:
    """Return the servers' key of the cache of logins; a new one when users change."""
    desired = user_files(users)
    keys = []
    for each in facts:
        there = {path: each.files[path].content for path in USER_FILES if path in each.files}
        if there and there != desired:
            return Secret(secrets.token_hex(32))
        file = each.files.get(layout.AUTH_KEY)
        text = file.content.decode("utf-8", "replace") if file else ""
        keys.append(text.partition('default "')[2].partition('"')[0])
    return Secret(next(filter(_KEY.fullmatch, keys), "") or secrets.token_hex(32))


@dataclass(frozen=True)
class _Certificate:
    """The registry's certificate; ``keep`` stores a new private CA and is called before a run."""

    certificate: bytes | None = None
    key: Secret | None = None
    authority: bytes | None = None
    keep: Callable[[], None] | None = None
    creates_authority: bool = False


def _certificate(answers: Answers, facts: Sequence[Facts], resolve: Resolve) -> _Certificate:
    domain = answers.registry.domain
    if answers.ssl.mode == "files" and answers.ssl.files is not None:
        files = answers.ssl.files
        certificate = _read(files.certificate, "ssl", "files", "certificate")
        key = _read(files.key, "ssl", "files", "key")
        faults = [
            _at("ssl.files", sentence) for _code, sentence in find_faults(certificate, key, domain)
        ]
        if faults:
            raise AnswersError(faults)
        return _Certificate(certificate, Secret(key.decode(errors="replace")))
    if answers.ssl.mode == "private_ca":
        return _issued(answers.ssl.private_ca, domain, facts, resolve)
    return _Certificate()


def _issued(
    wanted: PrivateCa, domain: str, facts: Sequence[Facts], resolve: Resolve
) -> _Certificate:
    """Return the servers' certificate while it is usable; otherwise issue a new one."""
    authority = ca.load(wanted.name, domain)
    passphrase = keep = None
    if authority is not None and wanted.passphrase is not None and not authority.is_encrypted:
        passphrase = resolve(wanted.passphrase, _OPENS_CA)
        keep = partial(ca.keep_encrypted, wanted.name, domain, passphrase)
    for each in facts:
        certificate, key = each.files.get(layout.TLS_CERTIFICATE), each.files.get(layout.TLS_KEY)
        if certificate is None or key is None:
            continue
        if ca.is_usable(certificate.content, domain, wanted.name, authority) and not list(
            find_faults(certificate.content, key.content, domain)
        ):
            chain = certificate.content.split(_BEGIN)
            return _Certificate(
                certificate.content, Secret(key.content.decode()), _BEGIN + chain[-1], keep
            )
    # The CA's key, and hence its passphrase, is only needed from here on.
    if wanted.passphrase is not None and passphrase is None:
        passphrase = resolve(wanted.passphrase, _OPENS_CA)
    creates = authority is None
    if authority is None:
        authority = ca.create(wanted.name, domain, passphrase)
        keep = partial(ca.keep, wanted.name, domain, authority)
    issued = authority.issue(domain, passphrase)
    return _Certificate(issued.certificate, issued.key, authority.certificate_pem, keep, creates)


def _read(name: str, *path: str) -> bytes:
    try:
        return read_file(name)
    except LocalFileError as error:
        raise AnswersError([error.problem(path)]) from None


def _at(dotted: str, message: str) -> Problem:
    return Problem(tuple(dotted.split(".")), message)
