"""Verify: checks from outside, of each server separately, bypassing DNS."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.events import CheckEnded, CheckStatus, OnEvent
from moorage.deploy.logs.rows import CHECK_REPOSITORY
from moorage.deploy.verify.check_results import Bad, Skipped, digest_of, expect
from moorage.deploy.verify.pulls import pull_stored, pull_through, push_refused
from moorage.deploy.verify.registry_client import RegistryClient, split_address
from moorage.deploy.verify.targets import Target
from moorage.desired.registry import Mode, mode_of
from moorage.errors import ExitCode, MoorageError
from moorage.images.collection import CHECK_LAYER
from moorage.servers.transport import Cancel

LARGE = 105 * 1024**2
"""Bytes of the large upload: more than the 100 MB to which proxies often limit requests."""
_CHUNK = 1024**2
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


CHECKS = {
    "reach": "reach port {port}",
    "certificate": "certificate",
    "no_password": "refused without a password",
    "wrong_password": "refused with a wrong password",
    "login": "log in",
    "push": "push",
    "pull": "pull",
    "delete": "delete",
    "push_refused": "push refused",
    "pull_stored": "pull a stored image",
    "pull_through": "pull through the cache",
    "large_upload": "upload of over 100 MB",
    "shared_upload": "upload started on {first}, finished here",
}
"""The checks with their names. The keys are documented in docs/command-line.md."""


@dataclass(frozen=True)
class Check:
    """One check on one server.

    Attributes:
        server: The server's label.
        key: The check, a key of :data:`CHECKS`.
        name: The check, for display.
        status: The result.
        detail: The figure, the problem, or why it was skipped.
        seconds: How long it took.
        problem: The problem, with advice; None unless it is bad.
        code: The problem, or why it was skipped, as a code; empty when it is good.
    """

    server: str
    key: str
    name: str
    status: CheckStatus
    detail: str
    seconds: float = 0.0
    problem: MoorageError | None = None
    code: str = ""


LOGIN_UNKNOWN = "login_unknown"
"""The code of checks that were skipped because no user's password is known."""
_REASONS = {LOGIN_UNKNOWN: "no password with push access is known"}
"""Short reasons for skipped checks, by code; the details of others are short."""


class VerifyResult(StrEnum):
    """The result of all checks. Documented in docs/command-line.md.

    incomplete: No check failed, but some were skipped.
    """

    PASSED = "passed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


@dataclass(frozen=True)
class Verification:
    """All checks, in order."""

    checks: tuple[Check, ...]

    @property
    def is_good(self) -> bool:
        """Whether no check was bad."""
        return all(check.status is not CheckStatus.BAD for check in self.checks)

    @property
    def grouped(self) -> tuple[Check, ...]:
        """The checks, with neighbours joined that were skipped for the same reason."""
        found: list[Check] = []
        for check in self.checks:
            last = found[-1] if found else None
            same = (check.server, CheckStatus.SKIPPED, check.detail)
            if (
                last is not None
                and check.status is CheckStatus.SKIPPED
                and (last.server, last.status, last.detail) == same
            ):
                seconds = last.seconds + check.seconds
                found[-1] = replace(last, name=f"{last.name}, {check.name}", seconds=seconds)
            else:
                found.append(check)
        return tuple(found)

    @property
    def not_checked(self) -> dict[str, str]:
        """The checks that were skipped on a server: their names by key."""
        skipped = [each for each in self.checks if each.status is CheckStatus.SKIPPED]
        return {each.key: each.name for each in skipped}

    @property
    def not_checked_in_words(self) -> str:
        """The checks that were skipped, and why: ``log in, push (no password is known)``."""
        skipped = [each for each in self.checks if each.status is CheckStatus.SKIPPED]
        reasons = dict.fromkeys(_REASONS.get(each.code, each.detail) for each in skipped)
        why = "; ".join(filter(None, reasons))
        return ", ".join(self.not_checked.values()) + (f" ({why})" if why else "")

    @property
    def result(self) -> VerifyResult:
        """The result of all checks."""
        if not self.is_good:
            return VerifyResult.FAILED
        return VerifyResult.INCOMPLETE if self.not_checked else VerifyResult.PASSED

    @property
    def lacks_login(self) -> bool:
        """Whether checks were skipped because no user's password is known."""
        return any(check.code == LOGIN_UNKNOWN for check in self.checks)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        return ExitCode.DONE if self.is_good else ExitCode.FAILED


def verify(
    answers: Answers,
    targets: Sequence[Target],
    *,
    user: str | None,
    password: Secret | None,
    ca_certificate: bytes | None,
    on_event: OnEvent = lambda event: None,
    large_upload: bool = True,
    cancel: Cancel | None = None,
) -> Verification:
    """Check a registry from this machine.

    Args:
        answers: The operator's answers.
        targets: The addresses to check, under the registry's name.
        user: A user with push access, if a password is known.
        password: That user's password; if None, checks that need it are skipped.
        ca_certificate: PEM of the CA to trust besides the system's.
        on_event: Called with a :class:`CheckEnded` after each check.
        large_upload: Whether to send over 100 MB to each server.
        cancel: Stops before the next check when set.
    """
    checks: list[Check] = []

    def check(server: str, key: str, name: str, work: Callable[[], str]) -> None:
        if cancel is not None and cancel.is_set:
            return
        started = time.monotonic()
        problem, code = None, ""
        try:
            status, detail = CheckStatus.GOOD, work()
        except Skipped as error:
            status, detail, code = CheckStatus.SKIPPED, str(error), error.code
        except MoorageError as error:
            problem, code = error, error.code
            status, detail = CheckStatus.BAD, f"{error.message} {error.advice}".rstrip()
        seconds = time.monotonic() - started
        checks.append(Check(server, key, name, status, detail, seconds, problem, code))
        on_event(CheckEnded(server, key, name, status, detail))

    def client(target: Target, login: bool = True) -> RegistryClient:
        return RegistryClient(
            address=target.address,
            port=target.port,
            domain=answers.registry.domain,
            tls=target.is_balanced or answers.ssl.mode != "none",
            is_proxied=answers.registry.proxy_protocol and not target.is_balanced,
            ca_certificate=ca_certificate,
            user=user if login else None,
            password=password if login else None,
        )

    run = f"{int(time.time()):x}{os.urandom(3).hex()}"
    unreached: set[Target] = set()
    for target in targets:
        session = _Session(client(target), f"check-{run}", password is not None)
        anonymous = client(target, login=False)
        planned = list(_checks(session, anonymous, answers, large_upload))
        problem = _connection_problem(anonymous)
        if problem is not None:
            # Every check would only run into the same timeout.
            unreached.add(target)
            is_certificate = problem.code == "certificate_untrusted"
            failed = "certificate" if is_certificate else "reach"
            text = _UNTRUSTED if is_certificate else _UNREACHED
            why = _raising(Skipped(text, problem.code if is_certificate else "unreached"))
            left_out = [(key, why) for key, _ in planned if key != failed]
            planned = [(failed, _raising(problem)), *left_out]
        for key, work in planned:
            name = CHECKS[key].format(port=target.port)
            check(target.server, key, name + _over(target), work)
    # One target per server.
    apart = tuple({target.server: target for target in reversed(targets)}.values())[::-1]
    if len(apart) > 1 and mode_of(answers).takes_pushes:
        first, second = apart[:2]

        def across() -> str:
            if password is None:
                raise Skipped(_UNKNOWN_LOGIN, LOGIN_UNKNOWN)
            if unreached & {first, second}:
                raise Skipped(_UNREACHED, "unreached")
            return _upload_across(client(first), client(second))

        key = "shared_upload"
        check(second.server, key, CHECKS[key].format(first=first.server), across)
    return Verification(tuple(checks))


def _over(target: Target) -> str:
    return f" over {target.way}" if target.way else ""


_UNKNOWN_LOGIN = (  # not a password
    "Moorage does not know the password of a user with push access to all repositories: refer to "
    "one by {env: NAME} or {file: PATH}, or verify right after the apply that generated it"
)

_UNREACHED = "the server's port cannot be reached from here"
_UNTRUSTED = "the server's certificate is not trusted"


def _connection_problem(client: RegistryClient) -> MoorageError | None:
    """Return why requests to a server fail, or None when they work."""
    try:
        client.request("GET", "/v2/")
    except MoorageError as error:
        return error
    return None


def _raising(error: Exception) -> Callable[[], str]:
    def work() -> str:
        raise error

    return work


@dataclass
class _Session:
    """The state shared by the checks of one server."""

    client: RegistryClient
    tag: str
    knows_password: bool
    layer: bytes = b""
    config: bytes = b""
    manifest: bytes = b""

    def need_password(self) -> None:
        if not self.knows_password:
            raise Skipped(_UNKNOWN_LOGIN, LOGIN_UNKNOWN)


def _checks(
    session: _Session, anonymous: RegistryClient, answers: Answers, large_upload: bool
) -> Iterator[tuple[str, Callable[[], str]]]:
    if answers.ssl.mode != "none":
        yield "certificate", lambda: _certificate(anonymous)
    yield "no_password", lambda: _refused(anonymous)
    yield "wrong_password", lambda: _refused(anonymous.with_password(CHECK_REPOSITORY, "wrong"))
    yield "login", lambda: _log_in(session)
    mode = mode_of(answers)
    if not mode.takes_pushes:
        yield from _checks_without_pushes(session, mode)
        return
    yield "push", lambda: _push(session, answers)
    yield "pull", lambda: _pull(session)
    yield "delete", lambda: _delete(session)
    if large_upload:
        yield "large_upload", lambda: _large_upload(session)


def _checks_without_pushes(
    session: _Session, mode: Mode
) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield the checks of a pull-through cache, or of a read-only registry."""

    def with_login(work: Callable[[], str]) -> Callable[[], str]:
        def check() -> str:
            session.need_password()
            return work()

        return check

    client = session.client
    yield "push_refused", with_login(lambda: push_refused(client, CHECK_REPOSITORY))
    if mode.is_cache:
        yield "pull_through", with_login(lambda: pull_through(client, mode.upstream))
    else:
        yield "pull_stored", with_login(lambda: pull_stored(client))


def _certificate(client: RegistryClient) -> str:
    certificate = client.certificate()
    expires = str(certificate.get("notAfter", ""))
    end = datetime.datetime.strptime(expires, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=datetime.UTC)
    days = (end - datetime.datetime.now(datetime.UTC)).days
    return f"trusted, for {client.domain}, {days} days left"


def _refused(client: RegistryClient) -> str:
    answer = expect(client.request("GET", "/v2/"), 401)
    challenge = answer.header("WWW-Authenticate") or ""
    if not challenge.lower().startswith("basic"):
        raise Bad(f"401 has no 'WWW-Authenticate: Basic' header (but {challenge!r})")
    return "401"


def _log_in(session: _Session) -> str:
    session.need_password()
    expect(session.client.request("GET", "/v2/"), 200)
    return f"200 as {session.client.user}"


def _push(session: _Session, answers: Answers) -> str:
    session.need_password()
    session.layer = os.urandom(CHECK_LAYER)
    session.config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {},
         "rootfs": {"type": "layers", "diff_ids": [digest_of(session.layer)]}}
    ).encode()  # fmt: skip
    for blob in (session.layer, session.config):
        location = _begin_upload(session.client, answers)
        expect(session.client.put_blob(location, blob, digest_of(blob)), 201)
    session.manifest = _manifest(session.config, session.layer)
    expect(
        session.client.request(
            "PUT",
            f"/v2/{CHECK_REPOSITORY}/manifests/{session.tag}",
            body=session.manifest,
            headers={"Content-Type": _MANIFEST},
        ),
        201,
    )
    return f"{len(session.layer) // 1024} KiB in 2 blobs and a manifest"


def _begin_upload(client: RegistryClient, answers: Answers | None = None) -> str:
    answer = expect(client.request("POST", f"/v2/{CHECK_REPOSITORY}/blobs/uploads/"), 202)
    location = answer.header("Location") or ""
    if answers is not None:
        # Even without TLS here, clients use HTTPS: a load balancer terminates it.
        base = f"https://{client.host}/"
        if not location.startswith((base, "/")):
            raise Bad(f"Location is {location.split('?')[0]}, expected it to begin with {base}")
    return location


def _pull(session: _Session) -> str:
    session.need_password()
    if not session.manifest:
        raise Skipped("nothing was pushed", "nothing_pushed")
    base = f"/v2/{CHECK_REPOSITORY}"
    path = f"{base}/manifests/{session.tag}"
    answer = expect(session.client.request("GET", path, headers={"Accept": _MANIFEST}), 200)
    if answer.body != session.manifest:
        raise Bad("the pulled manifest is not the one that was pushed")
    blob = expect(
        session.client.request("GET", f"{base}/blobs/{digest_of(session.layer)}"), 200, 307
    )
    if blob.status == 307:
        host = split_address(blob.header("Location") or "").netloc
        if not host:
            raise Bad("the layer is redirected to something that is not an absolute URL")
        return f"manifest, layer redirected to {host}"
    if blob.body != session.layer:
        raise Bad("the pulled layer is not the one that was pushed")
    return f"same digest {digest_of(session.manifest)[:19]}…"


def _delete(session: _Session) -> str:
    session.need_password()
    if not session.manifest:
        raise Skipped("nothing was pushed", "nothing_pushed")
    base = f"/v2/{CHECK_REPOSITORY}"
    path = f"{base}/manifests/{digest_of(session.manifest)}"
    expect(session.client.request("DELETE", path), 202)
    expect(session.client.request("GET", path, headers={"Accept": _MANIFEST}), 404)
    for blob in (session.layer, session.config):
        expect(session.client.request("DELETE", f"{base}/blobs/{digest_of(blob)}"), 202, 404)
    return "gone afterwards"


def _large_upload(session: _Session) -> str:
    session.need_password()
    location = _begin_upload(session.client)
    chunk = os.urandom(_CHUNK)
    started = time.monotonic()
    answer = session.client.request(
        "PATCH",
        location,
        body=(chunk for _ in range(LARGE // _CHUNK)),
        headers={"Content-Length": str(LARGE), "Content-Type": "application/octet-stream"},
    )
    expect(answer, 202)
    rate = LARGE / 1e6 / (time.monotonic() - started)
    # Cancel the upload instead of finishing it, so that nothing stays in the registry.
    session.client.request("DELETE", answer.header("Location") or location)
    return f"{LARGE / 1e6:.0f} MB at {rate:.0f} MB/s"


def _upload_across(first: RegistryClient, second: RegistryClient) -> str:
    halves = (os.urandom(32 * 1024), os.urandom(32 * 1024))
    digest = digest_of(b"".join(halves))
    location = _begin_upload(first)
    for client, half in zip((first, second), halves, strict=True):
        answer = client.request(
            "PATCH", location, body=half, headers={"Content-Type": "application/octet-stream"}
        )
        location = expect(answer, 202).header("Location") or location
    expect(second.put_blob(location, b"", digest), 201)
    blob = expect(first.request("GET", f"/v2/{CHECK_REPOSITORY}/blobs/{digest}"), 200, 307)
    if blob.status == 200 and digest_of(blob.body) != digest:
        raise Bad("the pulled layer is not the one that was pushed")
    second.request("DELETE", f"/v2/{CHECK_REPOSITORY}/blobs/{digest}")
    return "64 KiB in two halves"


def _manifest(config: bytes, layer: bytes) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(config),
            "digest": digest_of(config),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
                "size": len(layer),
                "digest": digest_of(layer),
            }
        ],
    }
    return json.dumps(document).encode()
