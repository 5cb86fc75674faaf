"""The certificate clients see: read it from each server, and replace it on all of them."""

from __future__ import annotations

import hashlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from moorage.answers.fields import check_local_path
from moorage.answers.model import Answers
from moorage.answers.ssl import CertificateFiles
from moorage.deploy.certificates.acme import Renewal, renewal_of
from moorage.deploy.plan.plan import Kind, Plan
from moorage.deploy.verify.registry_client import PROXY_LINE
from moorage.desired import layout
from moorage.desired.certificates import CertificateFacts, describe, find_faults, read_chain
from moorage.errors import AnswersError, ExitCode, MoorageError, Problem
from moorage.local_file import expand, read_file
from moorage.network import in_words
from moorage.rows import Level, Row
from moorage.state import write_private

if TYPE_CHECKING:
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.run.report import ApplyReport

_TIMEOUT = 20
_TLS_FILES = {layout.TLS_CERTIFICATE, layout.TLS_KEY}


@dataclass(frozen=True)
class Served:
    """The certificate that a server presents to clients.

    Attributes:
        server: The server's label.
        certificate: The certificate; None when there was no handshake, or it cannot be read.
        fingerprint: Its SHA-256, in hexadecimal; empty when there was no handshake.
        protocol: The negotiated TLS version, such as TLSv1.3.
        fault: Why there is no certificate; empty otherwise.
    """

    server: str
    certificate: CertificateFacts | None = None
    fingerprint: str = ""
    protocol: str = ""
    fault: str = ""


def look(server: str, address: str, port: int, domain: str, *, is_proxied: bool = False) -> Served:
    """Connect to a server and return the certificate it presents, trusted or not. Blocks.

    Args:
        server: The server's label.
        address: Where it is reached.
        port: The HTTPS port.
        domain: The name to request (SNI).
        is_proxied: Whether the server expects the PROXY protocol.
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
    """Return the certificate each server of a deployment presents. Blocks."""
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


@dataclass(frozen=True)
class ServerCertificate:
    """The certificate on a server and the one it presents.

    Attributes:
        server: The server's label.
        there: The certificate on it; None when there is none.
        fingerprint: Its SHA-256; empty likewise.
        served: The certificate it presents.
        renewal: The last renewal by ACME, if it is renewed that way.
    """

    server: str
    there: CertificateFacts | None
    fingerprint: str
    served: Served
    renewal: Renewal | None

    @property
    def is_good(self) -> bool:
        """Whether it presents the certificate that is on it."""
        return self.there is not None and self.served.fingerprint == self.fingerprint

    @property
    def rows(self) -> list[Row]:
        """Both certificates as rows."""
        if self.there is None:
            rows = [Row("certificate", "Certificate", "none on the server", Level.BAD)]
        else:
            rows = [*self.there.rows, Row("sha256", "SHA-256", self.fingerprint)]
        if self.served.fault:
            rows.append(Row("served", "Shown", f"nothing: {self.served.fault}", Level.BAD))
        elif self.is_good:
            text = f"this certificate, by {self.served.protocol}"
            rows.append(Row("served", "Shown", text, Level.GOOD))
        elif (other := self.served.certificate) is not None:
            text = f"another one: {', '.join(other.names)}, from {other.issuer}"
            rows.append(Row("served", "Shown", text, Level.BAD))
        if self.renewal is not None:
            rows.append(Row("renewal", "Renewal", self.renewal.text))
            if self.renewal.message:
                rows.append(Row("renewal_message", "", self.renewal.message, Level.BAD))
        return rows


def read_certificates(deployment: Deployment) -> list[ServerCertificate]:
    """Read the certificate on each server and the one it presents. Blocks.

    Raises:
        ServersFailed: A server cannot be reached.
    """
    found = []
    facts = deployment.probe()
    served = {each.server: each for each in look_at_all(deployment)}
    for each in facts:
        file = each.files.get(layout.TLS_CERTIFICATE)
        there, digest = None, ""
        if file is not None:
            with suppress(ValueError):
                there, digest = describe(file.content), fingerprint(file.content)
        renewal = renewal_of(each)
        found.append(ServerCertificate(each.server, there, digest, served[each.server], renewal))
    return found


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of the first certificate of a PEM file, in hexadecimal."""
    return hashlib.sha256(read_chain(pem)[0].public_bytes(Encoding.DER)).hexdigest()


class CertificateNotUsable(MoorageError):
    """A certificate that is not the answers', its chain or its key cannot be used."""

    exit_code = ExitCode.USAGE
    code = "certificate_not_usable"


def with_files(answers: Answers, certificate: str | None, key: str | None) -> Answers:
    """Return the answers with another certificate, after checking it.

    Args:
        answers: The operator's answers; ``ssl.mode`` is files.
        certificate: Path of the new certificate with its chain; the answers' if None.
        key: Path of its key; the answers' if None.

    Raises:
        MoorageError: ``ssl.mode`` is not files, or a file cannot be read.
        AnswersError: The certificate of the answers, its chain or its key cannot be used.
        CertificateNotUsable: The same about another certificate.
    """
    files = answers.ssl.files
    if answers.ssl.mode != "files" or files is None:
        raise MoorageError(
            "the registry's certificate does not come from files, so it cannot be replaced.",
            advice="ACME and the private CA renew the certificate by themselves. To use your own, "
            "set its files.",
            fields=("ssl.mode", "ssl.files"),
            code="not_your_certificate",
        )
    chosen = CertificateFiles(
        certificate=check_local_path(certificate or files.certificate, "certificate file"),
        key=check_local_path(key or files.key, "key file"),
    )
    certificate_pem = read_file(chosen.certificate, "certificate file")
    key_pem = read_file(chosen.key, "key file")
    faults = [
        sentence
        for _code, sentence in find_faults(certificate_pem, key_pem, answers.registry.domain)
    ]
    if faults and chosen == files:
        raise AnswersError([Problem(("ssl", "files"), sentence) for sentence in faults])
    if faults:
        raise CertificateNotUsable(
            f"{chosen.certificate} with the key {chosen.key} cannot be used. {' '.join(faults)}"
        )
    section = answers.ssl.model_copy(update={"files": chosen})
    return answers.model_copy(update={"ssl": section})


@dataclass(frozen=True)
class Replacement:
    """The result of a replacement.

    Attributes:
        report: The result of the apply; None when all servers already had the certificate.
        served: The certificate each server presents now.
        expected: The SHA-256 of the certificate they should present.
    """

    report: ApplyReport | None
    served: tuple[Served, ...]
    expected: str

    @property
    def is_good(self) -> bool:
        """Whether all servers present the new certificate."""
        applied = self.report is None or self.report.is_good
        return applied and all(each.fingerprint == self.expected for each in self.served)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        code = self.report.exit_code if self.report is not None else ExitCode.DONE
        return ExitCode.FAILED if code == ExitCode.DONE and not self.is_good else code

    @property
    def rows(self) -> list[Row]:
        """The certificate each server presents now."""
        return [served_row(each, self.expected) for each in self.served]


def served_row(served: Served, expected: str) -> Row:
    """Return the certificate that a server presents as a row.

    Args:
        served: The certificate.
        expected: The SHA-256 of the certificate it should present.
    """
    facts = served.certificate
    if served.fault or facts is None:
        return Row("no_certificate", served.server, served.fault, Level.BAD)
    if served.fingerprint != expected:
        other = f"shows another certificate: {', '.join(facts.names)}, from {facts.issuer}"
        return Row("other_certificate", served.server, other, Level.BAD)
    until = f"{facts.not_after:%Y-%m-%d}, {facts.days_left} days left"
    text = f"shows the new certificate, valid until {until} ({served.protocol})"
    return Row("served", served.server, text, Level.GOOD)


def replace_on(deployment: Deployment, plan: Plan) -> Replacement:
    """Install the certificate of the answers on the servers, and change nothing else. Blocks.

    Args:
        deployment: Opened with the result of :func:`with_files`.
        plan: Its plan.

    Raises:
        MoorageError: Other changes are waiting to be applied as well.
        ServersFailed: A server cannot be reached.
    """
    check_nothing_else(plan)
    files = deployment.answers.ssl.files
    assert files is not None
    expected = fingerprint(read_file(files.certificate, "certificate file"))
    report = deployment.apply(plan) if plan.has_changes else None
    return Replacement(report, look_at_all(deployment), expected)


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
                advice="See 'moorage plan FILE'. To apply everything, including the certificate, "
                "set the new files in the answers and run 'moorage apply FILE'.",
                server=server.server,
                code="other_changes",
            )


def keep(answers: Answers, replaced: Answers) -> tuple[str, ...]:
    """Write the new certificate to the files that the answers name; the old ones become FILE.old.

    Otherwise the next apply would bring the old certificate back.

    Args:
        answers: The saved answers.
        replaced: The same with the new files.

    Returns:
        The written files.

    Raises:
        MoorageError: A file cannot be written.
    """
    old, new = answers.ssl.files, replaced.ssl.files
    assert old is not None
    assert new is not None
    written = []
    for source, target in ((new.certificate, old.certificate), (new.key, old.key)):
        path = expand(target)
        content = read_file(source)
        try:
            before = read_file(path) if path.exists() else content
            if before == content and path.exists():
                continue
            if before != content:
                write_private(path.with_name(f"{path.name}.old"), before)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_private(path, content)
        except OSError as error:
            raise MoorageError(
                f"{path} cannot be written: {(error.strerror or 'unknown').lower()}.",
                advice="The servers have the new certificate; unless it is in this file, the next "
                "apply brings the old one back.",
                code="cannot_write",
            ) from error
        written.append(str(path))
    return tuple(written)
