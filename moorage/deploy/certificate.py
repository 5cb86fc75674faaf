"""The certificate clients see: what each server serves, and replacing it on all of them."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from moorage.answers.model import Answers
from moorage.answers.ssl import CertificateFiles
from moorage.deploy.plan import Kind, Plan
from moorage.deploy.registry_client import PROXY_LINE
from moorage.desired import layout
from moorage.desired.certificates import CertificateFacts, describe, find_faults, read_chain
from moorage.errors import AnswersError, MoorageError, Problem
from moorage.network import in_words
from moorage.state import write_private

if TYPE_CHECKING:
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.report import ApplyReport

_TIMEOUT = 20
_TLS_FILES = {layout.TLS_CERTIFICATE, layout.TLS_KEY}


@dataclass(frozen=True)
class Served:
    """What a server shows to whoever connects.

    Attributes:
        server: The server's label.
        certificate: The certificate; None when there was no handshake, or it cannot be read.
        fingerprint: Its SHA-256, in hexadecimal; empty when there was no handshake.
        protocol: The TLS version that was agreed on, such as TLSv1.3.
        fault: Why there is no certificate; empty otherwise.
    """

    server: str
    certificate: CertificateFacts | None = None
    fingerprint: str = ""
    protocol: str = ""
    fault: str = ""


def look(server: str, address: str, port: int, domain: str, *, is_proxied: bool = False) -> Served:
    """Connect to a server and say which certificate it shows, trusted or not. Blocks.

    Args:
        server: The server's label.
        address: Where it is reached.
        port: The HTTPS port.
        domain: The name that is asked for.
        is_proxied: Whether the server wants the PROXY protocol.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((address, port), timeout=_TIMEOUT) as plain:
            if is_proxied:
                plain.sendall(PROXY_LINE)
            with context.wrap_socket(plain, server_hostname=domain) as secured:
                der = secured.getpeercert(binary_form=True) or b""
                version = secured.version() or ""
    except OSError as error:
        return Served(server, fault=f"no handshake with {address}:{port}: {in_words(error)}")
    digest = hashlib.sha256(der).hexdigest()
    try:
        return Served(server, describe(ssl.DER_cert_to_PEM_cert(der).encode()), digest, version)
    except ValueError:
        return Served(server, None, digest, version, "the certificate cannot be read")


def look_at_all(deployment: Deployment) -> tuple[Served, ...]:
    """Return which certificate each server of a deployment shows. Blocks."""
    registry = deployment.answers.registry
    addresses = deployment.addresses
    if not addresses:
        return ()
    with ThreadPoolExecutor(max_workers=min(32, len(addresses))) as pool:
        return tuple(
            pool.map(
                lambda item: look(
                    item[0],
                    item[1],
                    registry.port,
                    registry.domain,
                    is_proxied=registry.proxy_protocol,
                ),
                addresses.items(),
            )
        )


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of the first certificate of a PEM file, in hexadecimal."""
    return hashlib.sha256(read_chain(pem)[0].public_bytes(Encoding.DER)).hexdigest()


def with_files(answers: Answers, certificate: str | None, key: str | None) -> Answers:
    """Return the answers with another certificate, which is checked.

    Args:
        answers: What the operator decided; ``ssl.mode`` is files.
        certificate: Path of the new certificate with its chain; that of the answers when None.
        key: Path of its key; that of the answers when None.

    Raises:
        MoorageError: ``ssl.mode`` is another.
        AnswersError: The certificate, its chain or its key cannot be used.
    """
    files = answers.ssl.files
    if answers.ssl.mode != "files" or files is None:
        raise MoorageError(
            "the registry's certificate does not come from files, so there is none to replace.",
            advice="ACME and the private CA renew the certificate by themselves. To use your own, "
            "set its files.",
            fields=("ssl.mode", "ssl.files"),
            code="not_your_certificate",
        )
    chosen = CertificateFiles(certificate=certificate or files.certificate, key=key or files.key)
    certificate_pem, key_pem = _read(chosen.certificate), _read(chosen.key)
    faults = [
        Problem(("ssl", "files"), sentence)
        for _code, sentence in find_faults(certificate_pem, key_pem, answers.registry.domain)
    ]
    if faults:
        raise AnswersError(faults)
    section = answers.ssl.model_copy(update={"files": chosen})
    return answers.model_copy(update={"ssl": section})


@dataclass(frozen=True)
class Replacement:
    """How a replacement went.

    Attributes:
        report: How the apply ended; None when the servers had the certificate already.
        served: What each server shows now.
        wanted: The SHA-256 of the certificate they should show.
    """

    report: ApplyReport | None
    served: tuple[Served, ...]
    wanted: str

    @property
    def is_good(self) -> bool:
        """Whether every server shows the new certificate."""
        applied = self.report is None or self.report.is_good
        return applied and all(each.fingerprint == self.wanted for each in self.served)


def replace_on(
    deployment: Deployment,
    *,
    plan: Plan | None = None,
    confirm: Callable[[Plan], bool] = lambda plan: True,
) -> Replacement | None:
    """Put the certificate of a deployment's answers on its servers, and nothing else. Blocks.

    Args:
        deployment: Opened with what :func:`with_files` returned.
        plan: Its plan, when it was made already.
        confirm: Is shown the plan, and says whether to go on.

    Returns:
        How it went; None when it was not confirmed.

    Raises:
        MoorageError: Something else waits to be applied, too.
        ServersFailed: A server cannot be reached.
    """
    plan = plan or deployment.plan()
    check_nothing_else(plan)
    files = deployment.answers.ssl.files
    assert files is not None
    wanted = fingerprint(_read(files.certificate))
    report = None
    if plan.has_changes:
        if not confirm(plan):
            return None
        report = deployment.apply(plan)
    return Replacement(report, look_at_all(deployment), wanted)


def check_nothing_else(plan: Plan) -> None:
    """Raise MoorageError when a plan changes more than the certificate."""
    for server in plan.servers:
        others = [
            change.subject
            for change in server.changes
            if change.subject not in _TLS_FILES
            and not (change.kind is Kind.SERVICE and change.subject == "nginx: reload")
        ]
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            raise MoorageError(
                f"more than the certificate would change: {others[0]}{more}.",
                advice="'moorage plan FILE' shows it; 'moorage apply FILE' brings all of it, the "
                "certificate included, when the answers name the new files.",
                server=server.server,
                code="other_changes",
            )


def keep(answers: Answers, replaced: Answers) -> tuple[str, ...]:
    """Make the files that the answers name hold the new certificate; the old ones stay beside.

    So the next apply does not bring the old certificate back.

    Args:
        answers: The answers as they are saved.
        replaced: The same with the new files.

    Returns:
        The files that were written.

    Raises:
        MoorageError: A file cannot be written.
    """
    old, new = answers.ssl.files, replaced.ssl.files
    assert old is not None
    assert new is not None
    written = []
    for source, target in ((new.certificate, old.certificate), (new.key, old.key)):
        path = Path(target).expanduser()
        content = _read(source)
        try:
            before = path.read_bytes() if path.exists() else content
            if before == content and path.exists():
                continue
            if before != content:
                write_private(path.with_name(f"{path.name}.old"), before)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_private(path, content)
        except OSError as error:
            raise MoorageError(
                f"{path} cannot be written: {(error.strerror or 'unknown').lower()}.",
                advice="The servers have the new certificate; without it in this file the next "
                "apply brings the old one back.",
                code="cannot_write",
            ) from error
        written.append(str(path))
    return tuple(written)


def faults_of(served: Sequence[Served], wanted: str) -> list[tuple[str, str]]:
    """Return the servers that do not show a certificate, and what they do instead."""
    found = []
    for each in served:
        if each.fault:
            found.append((each.server, each.fault))
        elif each.fingerprint != wanted:
            found.append((each.server, "shows another certificate"))
    return found


def _read(name: str) -> bytes:
    path = Path(name).expanduser()
    try:
        return path.read_bytes()
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise MoorageError(f"{path} cannot be read: {why}.", code="cannot_read") from error
