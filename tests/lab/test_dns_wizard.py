"""The wizard's DNS step on a real bind9: the diff, the change, what is said when it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dns_at_work import ZONE, keeper, signed
from fake_server import FakeServers
from operator_at_work import DOMAIN, Operator
from wizard_driver import SIZES, Wizard

from lab import Lab, LabServer
from lab.names import NameService, start_bind
from moorage.dns import lookup
from screens.dns.step import DnsPane
from tui.app import WizardApp
from tui.widgets.choice import Choice, Toggle
from tui.widgets.field import Field

pytestmark = pytest.mark.ready


@pytest.fixture(scope="module")
def service(lab: Lab) -> Iterator[NameService]:
    """A bind9 for all tests of this module."""
    service = start_bind(lab)
    yield service
    lab.destroy(service.server)


def _answers(operator: Operator, service: NameService, *hosts: str) -> Path:
    file = operator.home / "moorage.yml"
    servers = "\n".join(f"  - {{host: {host}, user: root}}" for host in hosts)
    file.write_text(
        f"version: 1\nregistry: {{domain: {DOMAIN}}}\nservers:\n{servers}\n"
        "credentials: {users: [{name: ci, password: {generate: true}}]}\n"
        "storage: {driver: s3, s3: {bucket: images, region: eu-central-1}}\n"
        f"dns: {{provider: manual, nameservers: [{service.address}]}}\nask: [dns]\n"
    )
    return file


def _field(wizard: Wizard, place: str) -> Field:
    fields = wizard.app.screen.query(Field).results(Field)
    return next(each for each in fields if place in (each.path, getattr(each, "place", "")))


async def _put(wizard: Wizard, place: str, text: str) -> None:
    """Put text into a field as pasting does."""
    field = _field(wizard, place)
    field.focus()
    field.input.value = text
    await wizard.pilot.pause()


async def _look_again(wizard: Wizard) -> None:
    """Look; the key stops a look that began by itself meanwhile, and then it takes another."""
    await wizard.until(lambda: "Ctrl+T: stop" not in wizard.text, "the first look is over")
    await wizard.press("ctrl+t")
    if "Check stopped." in wizard.text:
        await wizard.press("ctrl+t")


@pytest.mark.parametrize("size", SIZES)
async def test_records_are_shown_as_a_diff_and_created(
    operator: Operator, service: NameService, size: tuple[int, int]
) -> None:
    operator.leaks.add(service.key.secret, ("/etc/bind/named.conf.local",), label="the TSIG key")
    service.zones.clear()
    service.serve(ZONE, "registry 60 A 198.51.100.7\n")
    file = _answers(operator, service, "192.0.2.1", "192.0.2.2")
    app = WizardApp(file, open_transport=FakeServers().open, large_upload=False)
    async with app.run_test(size=size, notifications=True) as pilot:
        wizard = Wizard(app, pilot)
        await wizard.press("alt+4")
        await wizard.see("DNS  4 of 7", "Who manages the DNS records?")
        await wizard.see(f"- {DOMAIN} 60 A 198.51.100.7", f"+ {DOMAIN} 300 A 192.0.2.1")

        app.screen.query_one("#provider", Choice).choose("rfc2136")
        await _put(wizard, "dns.rfc2136.server", service.address)
        await _put(wizard, "dns.rfc2136.key_name", service.key.name)
        await _put(wizard, "dns.rfc2136.key", "AAAA" + service.key.secret[4:])
        await _look_again(wizard)
        await wizard.see("does not accept")

        await _put(wizard, "dns.rfc2136.key", service.key.secret)
        toggle = app.screen.query_one(Toggle)
        toggle.focus()
        await wizard.press("space")
        await _look_again(wizard)
        making, make = app.screen.query_one("#update-row"), app.screen.query_one("#update")
        await wizard.until(lambda: making.display, "the records can be made")
        await wizard.see(f"+ {DOMAIN} 60 A 192.0.2.1", "Update the records now")
        make.focus()
        await wizard.press("enter")
        await wizard.see("Not created by this deployment:", "Replace them")
        await wizard.press("tab", "enter")
        app.screen.query_one(DnsPane).scroll_home(animate=False)
        await wizard.see("✓", "A 192.0.2.1, A 192.0.2.2")
        assert service.dig(DOMAIN) == ["192.0.2.1", "192.0.2.2"]
        assert not making.display
        assert app.session is not None
        dns = app.session.draft.answers().dns
        assert dns.failover is not None
        assert dns.provider == "rfc2136"
        operator.leaks.watch_output("the screen", wizard.text)
        await wizard.press("ctrl+s")
        await wizard.see("Saved in")
    assert "prompt: true" in file.read_text()


async def test_a_lookup_at_silent_name_servers_can_be_cancelled(
    operator: Operator, service: NameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a slow machine the usual patience is over before anybody could press a key.
    for ask in (lookup.query, lookup.send_query):
        monkeypatch.setattr(ask, "__defaults__", (120.0,))
    service.zones.clear()
    service.serve(ZONE)
    file = _answers(operator, service, "192.0.2.1", "192.0.2.2")
    app = WizardApp(file, open_transport=FakeServers().open, large_upload=False)
    service.server.run("systemctl kill -s STOP named")
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            wizard = Wizard(app, pilot)
            await wizard.press("alt+4")
            await wizard.see("Ctrl+T: stop")
            await wizard.press("ctrl+t")
            await wizard.see("Check stopped.")
    finally:
        service.server.run("systemctl kill -s CONT named")


async def test_only_apply_creates_the_records_and_they_can_be_undone(
    operator: Operator,
    service: NameService,
    server: LabServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service.zones.clear()
    service.serve(ZONE, "registry 60 A 198.51.100.7\n")
    at_home = keeper(operator, service)
    at_home.write(signed(service, nameservers=[service.address]), [server])
    at_home.add_known_hosts(server)
    for name, value in at_home.environment.items():
        monkeypatch.setenv(name, value)
    app = WizardApp(at_home.file, large_upload=False)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        wizard = Wizard(app, pilot)
        await wizard.see("1 server:", "1 record set to change", "DNS  1 record set")
        await wizard.see("! not created by this deployment", "198.51.100.7")
        await wizard.press("home", "down")
        await wizard.see(f"- {DOMAIN} 60 A 198.51.100.7", f"+ {DOMAIN} 300 A {server.address}")
        await wizard.press("enter")
        await wizard.see("DNS records not created by this deployment")
        await wizard.press("tab", "enter")
        await wizard.see("DNS records", "after the checks")
        assert service.dig(DOMAIN) == ["198.51.100.7"]
        await wizard.see(f"{DOMAIN} is up.", seconds=300)
        app.screen.query_one("#report").scroll_end(animate=False)
        assert service.dig(DOMAIN) == [server.address]
        outcome = app.session.operations.outcome if app.session else None
        assert outcome is not None
        assert outcome.name is not None
        assert outcome.name.is_good
        shown = [str(each.content) for each in app.screen.query("#report Static")]
        assert "The registry's name" in shown
        assert any(each.startswith("served by its name server") for each in shown)
        await wizard.press("r")
        await wizard.see("1 server: nothing to change", "DNS  nothing to change")

    undone = at_home("dns", "undo", str(at_home.file), "--yes")
    assert undone.code == 0, undone.stderr
    assert service.dig(DOMAIN) == ["198.51.100.7"]


async def test_a_provider_error_keeps_apply_from_starting(
    operator: Operator, service: NameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.zones.clear()
    service.serve(ZONE)
    at_home = keeper(operator, service)
    at_home.write(signed(service), ["192.0.2.1"])
    monkeypatch.setenv("CI_PW", "tide-table-42-lantern")
    monkeypatch.setenv("DNS_KEY", "AAAA" + service.key.secret[4:])
    app = WizardApp(at_home.file, open_transport=FakeServers().open, large_upload=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        wizard = Wizard(app, pilot)
        await wizard.see("✗ Cannot change the DNS records")
        await wizard.press("enter")
        await wizard.see("Fix the items marked")
