"""An ACME certificate authority for the servers: Pebble, and the name server it queries.

Pebble is Let's Encrypt's test server. It queries pebble-challtestsrv, where tests set the records,
or a real name server.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import subprocess
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

from lab.errors import LabError
from lab.lab import Lab
from lab.machine import install_program
from lab.services import free_ports, in_brackets, note_service, wait_for_port

PEBBLE = {"pebble": "pebble", "pebble-challtestsrv": "pebble"}
"""The programs and the Debian package that provides them."""
ACCOUNT_KEY_ID = "lab-account"
ACCOUNT_HMAC = "bGFiLWFjY291bnQtaG1hYy1rZXktb2YtMzItYnl0ZXMhIQ"
"""The external account that the authority accepts when it requires one."""


@dataclass
class AcmeAuthority:
    """A running ACME server."""

    lab: Lab
    folder: Path
    directory: str
    """Its directory URL, reachable from the servers and this machine."""
    ca_file: Path
    """The CA certificate of the directory's own certificate."""
    management: str
    dns_management: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    def set_addresses(self, name: str, *addresses: str) -> None:
        """Make a name resolve to servers, for the authority.

        Args:
            name: The DNS name.
            addresses: The servers' IPv4 and IPv6 addresses; none removes the name.
        """
        for kind, is_six in (("a", False), ("aaaa", True)):
            self._tell(f"clear-{kind}", {"host": name})
            if these := [each for each in addresses if (":" in each) is is_six]:
                self._tell(f"add-{kind}", {"host": name, "addresses": these})

    def roots(self) -> bytes:
        """Return the root certificates of the certificates it issues, as PEM."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with urllib.request.urlopen(f"{self.management}/roots/0", context=context) as answer:
            content: bytes = answer.read()
        return content

    def stop(self) -> None:
        """Stop the authority; certificates it has issued remain."""
        for process in self.processes:
            process.kill()
            process.wait()
            (self.lab.folder.services / f"{process.pid}.json").unlink(missing_ok=True)
        self.processes.clear()

    def _tell(self, what: str, value: dict[str, object]) -> None:
        body = json.dumps(value).encode()
        try:
            with urllib.request.urlopen(f"{self.dns_management}/{what}", body, timeout=10):
                return
        except URLError as error:
            raise LabError(f"pebble-challtestsrv rejects {what}: {error}") from error


def start_authority(
    lab: Lab,
    folder: Path,
    *,
    host: str | None = None,
    name_server: str | None = None,
    requires_account: bool = False,
    refused: tuple[str, ...] = (),
    lifetime_seconds: int = 90 * 86400,
    directory_since: datetime.datetime | None = None,
) -> AcmeAuthority:
    """Start an ACME server on this machine's address on the bridge.

    Args:
        lab: The lab whose servers use it.
        folder: An empty folder for its files.
        host: Its address: `lab.gateway6` for IPv6-only servers; `lab.gateway` when None.
        name_server: ADDRESS:PORT of the name server to query, instead of its own.
        requires_account: Whether it requires an external account, which is ACCOUNT_KEY_ID.
        refused: Names it issues no certificates for.
        lifetime_seconds: The lifetime of its certificates in seconds.
        directory_since: The start of validity of the directory's own certificate.

    Raises:
        LabError: It did not start.
    """
    for program, package in PEBBLE.items():
        install_program(program, package)
    folder.mkdir(parents=True, exist_ok=True)
    host = host or lab.gateway
    names = ("acme", "management", "dns", "dns_management")
    ports = dict(zip(names, free_ports(host, len(names)), strict=True))
    issue_certificate(folder, host, directory_since)
    at = {name: f"{in_brackets(host)}:{port}" for name, port in ports.items()}
    configuration = {
        "listenAddress": at["acme"],
        "managementListenAddress": at["management"],
        "certificate": str(folder / "directory.pem"),
        "privateKey": str(folder / "directory.key"),
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": requires_account,
        "externalAccountMACKeys": {ACCOUNT_KEY_ID: ACCOUNT_HMAC} if requires_account else {},
        "domainBlocklist": list(refused),
        "certificateValidityPeriod": lifetime_seconds,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": configuration}), encoding="utf-8")
    authority = AcmeAuthority(
        lab,
        folder,
        f"https://{at['acme']}/dir",
        folder / "ca.pem",
        f"https://{at['management']}",
        f"http://{at['dns_management']}",
    )
    try:
        _start(
            authority, "dns.log",
            ["pebble-challtestsrv", "-dns01", at["dns"], "-http01", "", "-https01", "",
             "-tlsalpn01", "", "-management", at["dns_management"], "-defaultIPv4", "",
             "-defaultIPv6", ""],
            host, ports["dns_management"],
        )  # fmt: skip
        _start(
            authority, "pebble.log",
            ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver",
             name_server or at["dns"]],
            host, ports["acme"],
        )  # fmt: skip
    except BaseException:
        authority.stop()
        raise
    return authority


def _start(authority: AcmeAuthority, log: str, words: list[str], host: str, port: int) -> None:
    with (authority.folder / log).open("ab") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # By default it waits before each check and randomly rejects nonces and forgets orders.
            env={
                "PATH": "/usr/bin:/bin", "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0",
                "PEBBLE_AUTHZREUSE": "0",
            },
        )  # fmt: skip
    authority.processes.append(process)
    note_service(authority.lab, process, f"{words[0]} {host}:{port}")
    wait_for_port(process, host, port, f"{words[0]} did not start; see {authority.folder / log}")


def issue_certificate(folder: Path, address: str, since: datetime.datetime | None = None) -> None:
    """Write ca.pem, and directory.pem and directory.key for an address of this machine.

    Args:
        folder: The folder to write to.
        address: The certificate's address.
        since: The start of its validity; yesterday when None.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().issuer_name(name("Lab directory CA"))
    ca = (
        builder.subject_name(name("Lab directory CA"))
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    directory = (
        builder.subject_name(name("Lab directory"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since or now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(alternative, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "directory.pem").write_bytes(directory.public_bytes(pem))
    (folder / "directory.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
