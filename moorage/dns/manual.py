"""No provider: the operator creates the records, and the zone's name servers are queried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.dns.lookup import DnsError, find_name_servers, query_all
from moorage.dns.records import RecordChange, RecordSet


@dataclass(frozen=True)
class ManualProvider:
    """Reads records but never changes them.

    Attributes:
        nameservers: Name servers to query instead of looking them up.
    """

    nameservers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The provider's name as shown to users."""
        return "manual"

    @property
    def can_write(self) -> bool:
        """Always false."""
        return False

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the records of a name; see :class:`moorage.dns.records.Provider`."""
        zone, servers = find_name_servers(name, self.nameservers)
        replies = query_all(servers, name)
        for each in replies:
            if not each.fault:
                return each.records
        raise DnsError(
            f"none of the name servers of {zone} returns records for {name}: "
            + "; ".join(each.fault for each in replies)
            + ".",
            code="name_server_silent",
        )

    def write(self, changes: Sequence[RecordChange]) -> None:
        """Refuse: with this provider the operator manages the records."""
        raise DnsError(
            "Moorage does not manage the DNS records of this deployment.",
            advice="Create them where the domain is managed, then run 'moorage dns check FILE'.",
            fields=("dns.provider",),
            code="dns_manual",
        )
