"""Gathers what desired state is made of besides the answers: secrets, hashes, certificates."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moorage.answers.model import Answers, User
from moorage.answers.secrets import Generated, Hash, PasswordReference, Secret, SecretReference
from moorage.deploy import private_ca
from moorage.desired import layout
from moorage.desired.certificates import find_faults
from moorage.desired.state import Materials
from moorage.desired.users import access_map, htpasswd, read_htpasswd
from moorage.errors import AnswersError, Problem
from moorage.servers.facts import Facts

BCRYPT_COST = 12
_BCRYPT_LIMIT = 72
_BEGIN = b"-----BEGIN CERTIFICATE-----"

Resolve = Callable[[SecretReference, str], Secret]
"""Resolves a reference; the second argument is its path in the answers, for messages."""


def gather(answers: Answers, facts: Sequence[Facts], resolve: Resolve) -> Materials:
    """Resolve what the answers refer to, and keep what the servers have already.

    What was generated earlier (the HTTP secret, passwords, the private CA's certificate) is found
    on the servers again, so that applying the same answers twice changes nothing.

    Args:
        answers: What the operator decided.
        facts: What the probe read on all servers, or on enough of them to know what they share.
        resolve: Resolves secret references.

    Raises:
        SecretUnavailable: A reference leads nowhere.
        AnswersError: A certificate, key, image archive or password cannot be used.
    """
    resolved = _resolve_all(answers, resolve)
    hashes, generated = _hashes(answers.credentials.users, facts, resolve)
    shown = _certificate(answers, facts)
    return Materials(
        http_secret=_http_secret(facts),
        auth_key=_auth_key(answers, facts, hashes),
        secrets=resolved,
        hashes=hashes,
        certificate=shown.certificate,
        certificate_key=shown.key,
        ca_certificate=shown.authority,
        keep=shown.keep,
        generated=generated,
        image_archive_digest=_archive_digest(answers),
    )


def _resolve_all(answers: Answers, resolve: Resolve) -> dict[str, Secret]:
    wanted: dict[str, SecretReference] = {}
    s3 = answers.storage.s3
    if answers.storage.driver == "s3" and s3 is not None and s3.accesskey and s3.secretkey:
        wanted["storage.s3.accesskey"] = s3.accesskey
        wanted["storage.s3.secretkey"] = s3.secretkey
    for name, value in answers.registry.environment.items():
        if not isinstance(value, (str, int, bool)):
            wanted[f"registry.environment.{name}"] = value
    resolved = {path: resolve(reference, path) for path, reference in wanted.items()}
    for path, secret in resolved.items():
        if any(ord(character) < 32 for character in secret.reveal()):
            raise AnswersError([_at(path, "the secret has a control character in it")])
    return resolved


def _hashes(
    users: Sequence[User], facts: Sequence[Facts], resolve: Resolve
) -> tuple[dict[str, str], dict[str, Secret]]:
    """Return the users' hashes and the passwords made just now."""
    there: dict[str, str] = {}
    for each in facts:
        if layout.HTPASSWD in each.files:
            there = read_htpasswd(each.files[layout.HTPASSWD].content) | there
    generated: dict[str, Secret] = {}

    def hash_of(numbered: tuple[int, User]) -> str:
        position, user = numbered
        current = there.get(user.name)
        reference: PasswordReference = user.password
        if isinstance(reference, Hash):
            return reference.hash
        if isinstance(reference, Generated):
            if current is not None:
                return current
            generated[user.name] = password = generate_password()
            return hash_password(password)
        where = f"credentials.users[{position}].password"
        password = resolve(reference, where)
        check_password(password, where)
        if current is not None and verify_password(password, current):
            return current
        return hash_password(password)

    # bcrypt lets other threads run, so several users cost little more than one.
    with ThreadPoolExecutor(max_workers=8) as pool:
        hashes = list(pool.map(hash_of, enumerate(users)))
    return {user.name: value for user, value in zip(users, hashes, strict=True)}, generated


def generate_password() -> Secret:
    """Return a new password of 128 random bits, 22 letters, digits, ``-`` and ``_``."""
    return Secret(secrets.token_urlsafe(16))


def hash_password(password: Secret) -> str:
    """Return a bcrypt hash in the form nginx and htpasswd know."""
    import bcrypt

    salt = bcrypt.gensalt(BCRYPT_COST, prefix=b"2b")
    # $2b$ and $2y$ name the same algorithm; $2y$ is what htpasswd writes.
    return bcrypt.hashpw(password.reveal().encode(), salt).decode().replace("$2b$", "$2y$", 1)


def verify_password(password: Secret, value: str) -> bool:
    """Return whether a password belongs to a hash of any kind that htpasswd holds."""
    if value.startswith("$2"):
        import bcrypt

        return bcrypt.checkpw(password.reveal().encode(), b"$2b$" + value[4:].encode())
    from passlib.hash import apr_md5_crypt, sha256_crypt, sha512_crypt

    for scheme in (apr_md5_crypt, sha256_crypt, sha512_crypt):
        if scheme.identify(value):
            return bool(scheme.verify(password.reveal(), value))
    return False


def check_password(password: Secret, where: str) -> None:
    """Raise AnswersError when a password cannot be used, with the reason."""
    text = password.reveal()
    if not text:
        raise AnswersError([_at(where, "the password is empty")])
    if len(text.encode()) > _BCRYPT_LIMIT:
        message = (
            f"the password has {len(text.encode())} bytes; bcrypt takes {_BCRYPT_LIMIT} at most"
        )
        raise AnswersError([_at(where, message)])
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise AnswersError([_at(where, "the password has a control character in it")])


def _http_secret(facts: Sequence[Facts]) -> Secret:
    for each in facts:
        file = each.files.get(layout.REGISTRY_ENV)
        for line in file.content.decode("utf-8", "replace").splitlines() if file else ():
            name, _, value = line.partition("=")
            if name == "REGISTRY_HTTP_SECRET" and value.strip('"'):
                return Secret(value.strip('"'))
    return Secret(secrets.token_hex(32))


def _auth_key(answers: Answers, facts: Sequence[Facts], hashes: Mapping[str, str]) -> Secret:
    """Keep the key while the users stay as they are; a change makes a new one."""
    wanted = {
        layout.HTPASSWD: htpasswd(hashes),
        layout.ACCESS_MAP: access_map(answers.credentials.users),
    }
    keys = []
    for each in facts:
        there = {path: each.files[path].content for path in wanted if path in each.files}
        if any(content != wanted[path] for path, content in there.items()):
            return Secret(secrets.token_hex(32))
        file = each.files.get(layout.AUTH_KEY)
        text = file.content.decode("utf-8", "replace") if file else ""
        keys.append(text.partition('default "')[2].partition('"')[0])
    return Secret(next(filter(None, keys), "") or secrets.token_hex(32))


@dataclass(frozen=True)
class _Certificate:
    """What the registry shows to clients; ``keep`` is due before a run."""

    certificate: bytes | None = None
    key: Secret | None = None
    authority: bytes | None = None
    keep: Callable[[], None] | None = None


def _certificate(answers: Answers, facts: Sequence[Facts]) -> _Certificate:
    domain = answers.registry.domain
    if answers.ssl.mode == "files" and answers.ssl.files is not None:
        files = answers.ssl.files
        certificate = _read(files.certificate, "ssl.files.certificate")
        key = _read(files.key, "ssl.files.key")
        faults = [
            _at("ssl.files", sentence) for _code, sentence in find_faults(certificate, key, domain)
        ]
        if faults:
            raise AnswersError(faults)
        return _Certificate(certificate, Secret(key.decode()))
    if answers.ssl.mode == "private_ca":
        return _issued(answers.ssl.private_ca.name, domain, facts)
    return _Certificate()


def _issued(name: str, domain: str, facts: Sequence[Facts]) -> _Certificate:
    """Keep what the servers have while it is good; otherwise issue a certificate."""
    authority = private_ca.load(name)
    for each in facts:
        certificate, key = each.files.get(layout.TLS_CERTIFICATE), each.files.get(layout.TLS_KEY)
        if certificate is None or key is None:
            continue
        if private_ca.is_usable(certificate.content, domain, authority) and not list(
            find_faults(certificate.content, key.content, domain)
        ):
            chain = certificate.content.split(_BEGIN)
            return _Certificate(
                certificate.content, Secret(key.content.decode()), _BEGIN + chain[-1]
            )
    keep = None
    if authority is None:
        authority = private_ca.create(name)
        keep = partial(private_ca.keep, name, authority)
    issued = authority.issue(domain)
    return _Certificate(issued.certificate, issued.key, authority.certificate_pem, keep)


def _archive_digest(answers: Answers) -> str | None:
    archive = answers.registry.image_archive
    runtimes = {answers.for_server(server.host).registry.runtime for server in answers.servers}
    if archive is None or runtimes == {"package"}:
        return None
    path = Path(archive).expanduser()
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise AnswersError(
            [_at("registry.image_archive", f"{path} cannot be read: {error.strerror}")]
        ) from error


def _read(name: str, where: str) -> bytes:
    path = Path(name).expanduser()
    try:
        return path.read_bytes()
    except OSError as error:
        raise AnswersError([_at(where, f"{path} cannot be read: {error.strerror}")]) from error


def _at(dotted: str, message: str) -> Problem:
    return Problem(tuple(dotted.split(".")), message)
