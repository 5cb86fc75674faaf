"""Name servers on lab servers: bind9 with zones that TSIG keys can update, and PowerDNS."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.query

from lab.errors import LabError
from lab.lab import Lab
from lab.server import LabServer

BIND_PACKAGES = ("bind9", "bind9-dnsutils")
POWERDNS_PACKAGES = ("pdns-server", "pdns-backend-sqlite3", "sqlite3", "bind9-dnsutils")


@dataclass(frozen=True)
class TsigKey:
    """A key that can update zones."""

    name: str
    algorithm: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, name: str = "moorage-key", algorithm: str = "hmac-sha256") -> TsigKey:
        """Generate a key.

        Args:
            name: Its name.
            algorithm: Such as hmac-sha256.
        """
        return cls(name, algorithm, base64.b64encode(secrets.token_bytes(32)).decode())


@dataclass
class NameService:
    """bind9 on a lab server.

    Attributes:
        server: The server.
        keys: The keys it accepts.
        zones: Its zone files, by zone.
    """

    server: LabServer
    keys: list[TsigKey] = field(default_factory=lambda: [TsigKey.new()])
    zones: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Its IP address."""
        return self.server.address

    @property
    def key(self) -> TsigKey:
        """The first key."""
        return self.keys[0]

    def serve(self, zone: str, records: str = "", *, ttl: int = 30, others: str = "") -> None:
        """Serve a zone, replacing an earlier version of it.

        Args:
            zone: Its name.
            records: More lines of the zone file.
            ttl: The default TTL in seconds.
            others: Additional NS records, as lines of the zone file.
        """
        self.zones[zone] = (
            f"$TTL {ttl}\n"
            f"@ SOA ns1.{zone}. hostmaster.{zone}. 1 60 60 60 1\n"
            f"@ NS ns1.{zone}.\n{others}ns1 A {self.address}\n{records}"
        )
        self.restart()

    def restart(self) -> None:
        """Write the configuration and restart bind9."""
        self.server.run("systemctl stop named; systemctl reset-failed named; rm -f /var/lib/bind/*")
        configuration = "".join(
            f'key "{key.name}" {{ algorithm {key.algorithm}; secret "{key.secret}"; }};\n'
            for key in self.keys
        )
        allowed = " ".join(f'key "{key.name}";' for key in self.keys)
        for zone, content in self.zones.items():
            path = f"/var/lib/bind/{zone}.zone"
            self.server.write_file(path, content)
            update = f"allow-update {{ {allowed} }};"
            configuration += f'zone "{zone}" {{ type primary; file "{path}"; {update} }};\n'
        self.server.write_file("/etc/bind/named.conf.local", configuration)
        self.server.write_file(
            "/etc/bind/named.conf.options",
            'options { directory "/var/cache/bind"; recursion no; dnssec-validation no; '
            "listen-on { any; }; allow-query { any; }; minimal-responses yes; };\n",
        )
        self.server.run("chown -R bind: /var/lib/bind && named-checkconf -z >/dev/null")
        self.server.run("systemctl start named")
        self.server.run("for i in $(seq 50); do rndc status >/dev/null 2>&1 && exit 0; sleep .1; "
                        "done; journalctl -u named -n 30 --no-pager; exit 1")  # fmt: skip

    def dig(self, name: str, kind: str = "A") -> list[str]:
        """Return the records of a name, sorted.

        Args:
            name: The name.
            kind: The record type.
        """
        return sorted(" ".join(_ask(self.address, name, kind)[1]).split())

    def ttl(self, name: str, kind: str = "A") -> int:
        """Return a record's TTL in seconds.

        Args:
            name: The name.
            kind: The record type.
        """
        return _ask(self.address, name, kind)[0]


def _ask(address: str, name: str, kind: str) -> tuple[int, list[str]]:
    """Query a name server from this machine: tests query often, and running dig there is slow.

    Args:
        address: Its IP address.
        name: The name.
        kind: The record type.

    Returns:
        The answer's lowest TTL in seconds, and its records.

    Raises:
        LabError: It does not answer.
    """
    query = dns.message.make_query(name, kind, flags=0)
    for _ in range(3):
        with suppress(dns.exception.Timeout, OSError):
            answer = dns.query.udp_with_fallback(query, address, timeout=5)[0].answer
            return min((each.ttl for each in answer), default=0), [
                record.to_text() for each in answer for record in each
            ]
    raise LabError(f"the name server at {address} does not answer")


def start_bind(lab: Lab, name: str = "names", keys: Sequence[TsigKey] = ()) -> NameService:
    """Boot a server with bind9 and no zones.

    Args:
        lab: The lab.
        name: The server's name.
        keys: The keys it accepts; by default it generates one.
    """
    server = lab.boot(name, extra=BIND_PACKAGES)
    return NameService(server, list(keys) or [TsigKey.new()])


@dataclass(frozen=True)
class PowerDns:
    """PowerDNS and its API on a lab server."""

    server: LabServer
    token: str = field(repr=False)

    @property
    def api(self) -> str:
        """The URL of its API."""
        return f"http://{self.server.address}:8081"

    def dig(self, name: str, kind: str = "A") -> list[str]:
        """Return the records of a name, sorted.

        Args:
            name: The name.
            kind: The record type.
        """
        return sorted(" ".join(_ask(self.server.address, name, kind)[1]).split())


def start_powerdns(lab: Lab, zone: str, name: str = "powerdns") -> PowerDns:
    """Boot a server with PowerDNS that serves a zone.

    Args:
        lab: The lab.
        zone: The zone.
        name: The server's name.
    """
    server = lab.boot(name, extra=POWERDNS_PACKAGES)
    token = secrets.token_hex(16)
    server.write_file(
        "/etc/powerdns/pdns.conf",
        "launch=gsqlite3\ngsqlite3-database=/var/lib/powerdns/pdns.sqlite3\napi=yes\n"
        f"api-key={token}\nwebserver=yes\nwebserver-address=0.0.0.0\n"
        "webserver-allow-from=0.0.0.0/0\nlocal-address=0.0.0.0\nsetgid=pdns\nsetuid=pdns\n"
        "zone-cache-refresh-interval=0\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n",
    )
    schema = "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql"
    server.run(
        "systemctl stop pdns; rm -f /etc/powerdns/pdns.d/* /var/lib/powerdns/pdns.sqlite3; "
        f"set -e; mkdir -p /var/lib/powerdns; test -e {schema} || gunzip {schema}.gz; "
        f"sqlite3 /var/lib/powerdns/pdns.sqlite3 < {schema}; "
        "chown -R pdns: /var/lib/powerdns /etc/powerdns; "
        f"pdnsutil create-zone {zone} ns1.{zone}; "
        f"pdnsutil add-record {zone} ns1 A {server.address}; systemctl restart pdns"
    )
    return PowerDns(server, token)
