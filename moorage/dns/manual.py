"""No provider: the operator makes the records; the zone's own name servers say what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.dns.lookup import DnsError, ask_all, find_servers
from moorage.dns.records import RecordChange, RecordSet


@dataclass(frozen=True)
class ManualProvider:
    """Reads what is there and changes nothing.

    Attributes:
        nameservers: Name servers to ask instead of finding them.
    """

    nameservers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What it is, for people."""
        return "manual"

    @property
    def can_write(self) -> bool:
        """It cannot change records."""
        return False

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the records of a name; see :class:`moorage.dns.records.Provider`."""
        zone, servers = find_servers(name, self.nameservers)
        said = ask_all(servers, name)
        for each in said:
            if not each.fault:
                return each.records
        raise DnsError(
            f"none of the name servers of {zone} tells what {name} leads to: "
            + "; ".join(each.fault for each in said)
            + ".",
            code="name_server_silent",
        )

    def write(self, changes: Sequence[RecordChange]) -> None:
        """Refuse: with this provider the operator makes the records."""
        raise DnsError(
            "with dns.provider: manual the records are yours to make.",
            hint="Make them where the domain is managed; 'moorage dns check FILE' looks again.",
            code="dns_manual",
        )
