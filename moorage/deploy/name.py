"""The registry's name, as a part of a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.answers.model import Answers

if TYPE_CHECKING:
    from moorage.dns.opening import Resolve
    from moorage.dns.records import Provider
    from moorage.dns.work import DnsCheck, DnsPlan, DnsReport
    from moorage.servers.transport import Cancel


@dataclass(frozen=True)
class RegistryName:
    """The name that people put before their images, and what it leads to.

    Attributes:
        answers: What the operator decided.
        addresses: Where clients reach each server, by label.
        resolve: Finds secrets.
        cancel: Ends the waiting for name servers.
    """

    answers: Answers
    addresses: Mapping[str, str]
    resolve: Resolve = field(repr=False)
    cancel: Cancel

    def open_provider(self) -> Provider:
        """Return who holds the zone; nothing is asked yet.

        Raises:
            MoorageError: A secret leads nowhere, or there is no such provider.
        """
        from moorage.dns.opening import open_provider

        return open_provider(self.answers, self.resolve)

    def plan(self) -> DnsPlan:
        """Return what has to change for the name to lead to all servers.

        Raises:
            MoorageError: The zone's provider does not answer, refuses, or has no such zone.
        """
        from moorage.dns.work import plan_dns

        return plan_dns(self.answers, self.addresses, self.resolve)

    def plan_undo(self) -> DnsPlan:
        """Return what takes back the last change from this machine.

        Raises:
            MoorageError: There is none, or the zone's provider does not answer or refuses.
        """
        from moorage.dns.work import plan_undo

        return plan_undo(self.answers, self.addresses, self.resolve)

    def apply(
        self, plan: DnsPlan, *, replace: bool = False, wait: float | None = None
    ) -> DnsReport:
        """Make the changes of a plan and wait until the zone's name servers serve them.

        Args:
            plan: The plan.
            replace: Whether records that are not this deployment's may be replaced.
            wait: Seconds to wait for the name servers; None for what is usual.

        Raises:
            MoorageError: Records of somebody else's are in the way, or the provider refuses.
        """
        from moorage.dns.work import SERVED_WITHIN, apply_dns

        return apply_dns(
            self.answers,
            plan,
            replace=replace,
            wait=SERVED_WITHIN if wait is None else wait,
            cancelled=lambda: self.cancel.is_set,
        )

    def check(self) -> DnsCheck:
        """Ask the zone's own name servers and this machine what the name leads to.

        Raises:
            MoorageError: A server's name has no address.
        """
        from moorage.dns.work import check_dns

        return check_dns(self.answers, self.addresses)
