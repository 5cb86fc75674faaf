"""DNS: the records that are needed, and what resolves now."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from moorage.errors import MoorageError
from moorage.servers.sshconfig import SshConfig
from tui.draft import Draft
from tui.flow import Step
from tui.jobs import JobEnded, start_job
from tui.widgets.pane import StepPane


@dataclass(frozen=True)
class Resolution:
    """What a name resolves to now.

    Attributes:
        addresses: The addresses, sorted.
        wanted: The addresses the servers have.
        fault: Why it could not be looked up, or empty.
    """

    addresses: tuple[str, ...]
    wanted: tuple[str, ...]
    fault: str = ""


class DnsPane(StepPane):
    """Which records are to be made, and whether they are there."""

    step = Step.DNS
    question = "Does the name lead to the servers?"
    explanation = "You create these records where the domain is managed; Moorage checks them."
    help_text = (
        "The registry's name must lead to the servers before people can log in. Going on without "
        "the records is fine: the checks at the end reach each server by its address."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+t", "check_records", "Check again")]
    DEFAULT_CSS = """
    DnsPane #records { height: auto; margin-bottom: 1; background: $panel; padding: 0 1; }
    DnsPane #resolved { height: auto; margin-bottom: 1; }
    """
    can_focus = True

    def body(self) -> ComposeResult:
        yield Static("", id="records", markup=False)
        yield Static("", id="resolved", markup=False)

    def opened(self) -> None:
        """Look the names up at once."""
        super().opened()
        self.take_focus(self)
        self.action_check_records()

    def action_check_records(self) -> None:
        """Look up what the name leads to now."""
        domain = self.draft.domain
        if not domain or self.draft.problem_at("registry.domain"):
            self.query_one("#records", Static).update("The registry has no name yet.")
            self.query_one("#resolved", Static).update("")
            return
        hosts = public_hosts(self.draft)
        self.query_one("#records", Static).update(f"Looking up {domain}…")
        start_job(self, f"resolve:{domain}", lambda: resolve(domain, hosts))

    def on_job_ended(self, event: JobEnded) -> None:
        """Show the records and what resolves."""
        domain = event.name.removeprefix("resolve:")
        records, resolved = self.query_one("#records", Static), self.query_one("#resolved", Static)
        if event.error is not None:
            resolved.update(event.error.message)
            return
        found: Resolution = event.result
        rows = [(domain, _kind(address), address) for address in found.wanted]
        width = max((len(row[0]) for row in rows), default=0)
        text = "\n".join(f"{name:<{width}}  {kind:<5} {address}" for name, kind, address in rows)
        records.update(text or "No server has a known address yet.")
        resolved.update(_verdict(domain, found))


def _verdict(domain: str, found: Resolution) -> Content:
    now = ", ".join(found.addresses)
    missing = [address for address in found.wanted if address not in found.addresses]
    if found.fault:
        return Content.styled(f"○ {domain} does not resolve yet ({found.fault})", "$text-warning")
    if not missing and found.wanted:
        return Content.styled(f"✓ {domain} resolves to {now}", "$text-success")
    others = [address for address in found.addresses if address not in found.wanted]
    text = f"✗ {domain} resolves to {now}"
    if missing:
        text += f"; missing: {', '.join(missing)}"
    if others:
        text += f"; of no server here: {', '.join(others)}"
    return Content.styled(text, "$text-warning")


def _kind(address: str) -> str:
    try:
        return "AAAA" if ipaddress.ip_address(address).version == 6 else "A"
    except ValueError:
        return "CNAME"


def public_hosts(draft: Draft) -> list[str]:
    """Return where clients reach the servers: the address given, or ssh's HostName."""
    try:
        config = SshConfig.load()
    except (MoorageError, OSError):
        config = None
    hosts = []
    for server in draft.items("servers"):
        host = str(server.get("address") or "")
        if not host and server.get("connection") != "local":
            host = str(server.get("host", ""))
            with contextlib.suppress(MoorageError):
                host = config.lookup(host).hostname if config and host else host
        if host:
            hosts.append(host)
    return hosts


def resolve(domain: str, hosts: Sequence[str]) -> Resolution:
    """Look a name up, and the servers' names where they are not addresses. Blocks.

    Args:
        domain: The registry's name.
        hosts: The servers' public addresses or names.
    """
    wanted: list[str] = []
    for host in hosts:
        try:
            wanted.append(str(ipaddress.ip_address(host)))
        except ValueError:
            wanted += _addresses(host)[0] or [host]
    addresses, fault = _addresses(domain)
    return Resolution(tuple(addresses), tuple(dict.fromkeys(wanted)), fault)


def _addresses(name: str) -> tuple[list[str], str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return [], (error.strerror or str(error)).lower()
    except UnicodeError:
        return [], "not a name"
    return sorted({str(entry[4][0]) for entry in found}), ""
