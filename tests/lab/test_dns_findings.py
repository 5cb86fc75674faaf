"""Each surprise about a name, produced on purpose, and what is said about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dns_at_work import ZONE, NameKeeper, Outcome, keeper
from hosts_file import name_in_hosts
from operator_at_work import DOMAIN, Operator

from lab import Lab, LabServer
from lab.names import NameService, start_bind


@pytest.fixture(scope="module")
def service(lab: Lab) -> Iterator[NameService]:
    """A bind9 for all tests of this module."""
    service = start_bind(lab)
    yield service
    lab.destroy(service.server)


@pytest.fixture
def keep(operator: Operator, service: NameService) -> NameKeeper:
    """Somebody who makes their records by hand."""
    return keeper(operator, service)


def _check(keep: NameKeeper, service: NameService, records: str, *words: str) -> Outcome:
    service.zones.clear()
    service.serve(ZONE, records)
    keep.write({"provider": "manual", "nameservers": [service.address]}, ["192.0.2.1"])
    return keep("dns", "check", "moorage.yml", *words)


def _codes(outcome: Outcome) -> list[str]:
    return [each["code"] for each in json.loads(outcome.stdout)["findings"]]


def test_correct_records_yield_no_findings(keep: NameKeeper, service: NameService) -> None:
    outcome = _check(keep, service, "registry A 192.0.2.1\n", "--json", "--ca", "letsencrypt.org")

    assert outcome.code == 0, outcome.stdout
    assert outcome.json["is_good"]
    assert _codes(outcome) == []


def test_missing_records_are_listed_for_creation(keep: NameKeeper, service: NameService) -> None:
    outcome = _check(keep, service, "registry A 198.51.100.1\n")

    assert outcome.code == 1
    assert f"{DOMAIN} 300 A 192.0.2.1" in outcome.stdout
    assert "A 198.51.100.1" in outcome.stdout
    planned = keep("dns", "plan", "moorage.yml")
    assert "Create these records" in planned.stdout
    refused = keep("dns", "apply", "moorage.yml", "--yes", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "dns_manual")


def test_check_waits_until_the_record_exists(keep: NameKeeper, service: NameService) -> None:
    service.zones.clear()
    service.serve(ZONE)
    keep.write({"provider": "manual", "nameservers": [service.address]}, ["192.0.2.1"])
    waiting = keep.start("dns", "check", "moorage.yml", "--wait", "60")
    service.serve(ZONE, "registry A 192.0.2.1\n")

    assert keep.finish(waiting).code == 0


def test_name_servers_that_disagree(lab: Lab, keep: NameKeeper, service: NameService) -> None:
    other = start_bind(lab, "names-too")
    try:
        service.zones.clear()
        service.serve(ZONE, "registry A 192.0.2.1\n")
        other.serve(ZONE, "registry A 192.0.2.77\n")
        both = [service.address, other.address]
        keep.write({"provider": "manual", "nameservers": both}, ["192.0.2.1"])
        outcome = keep("dns", "check", "moorage.yml", "--json")
        assert outcome.code == 1
        assert _codes(outcome) == ["name_servers_disagree"]
        message = outcome.json["findings"][0]["message"]
        assert f"{service.address} returns 192.0.2.1" in message
        assert f"{other.address} returns 192.0.2.77" in message

        other.server.run("systemctl stop named")
        outcome = keep("dns", "check", "moorage.yml", "--json")
        assert "name_server_silent" in _codes(outcome)
    finally:
        lab.destroy(other.server)


@pytest.mark.parametrize("address", ["104.16.3.4", "2606:4700::6810:1"])
def test_a_proxy_in_front(keep: NameKeeper, service: NameService, address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    outcome = _check(keep, service, f"registry {kind} {address}\n", "--json")

    assert "cdn_proxy" in _codes(outcome)
    finding = next(each for each in outcome.json["findings"] if each["code"] == "cdn_proxy")
    assert address in finding["message"]
    assert "100 MB" in finding["message"]
    assert "DNS only" in finding["advice"]


@pytest.mark.parametrize(
    ("records", "forbidden"),
    [
        ('@ CAA 0 issue "other.example"\n', True),
        ('@ CAA 0 issue ";"\n', True),
        ('registry CAA 0 issue "letsencrypt.org; validationmethods=dns-01"\n', False),
        ('@ CAA 0 issue "other.example"\nregistry CAA 0 issue "letsencrypt.org"\n', False),
        ('@ CAA 0 iodef "mailto:a@example.test"\n', False),
        ('@ CAA 0 issue "letsencrypt.org"\n@ CAA 128 unheardof "x"\n', True),
        ("", False),
    ],
)
def test_caa_records(keep: NameKeeper, service: NameService, records: str, forbidden: bool) -> None:
    outcome = _check(
        keep, service, f"registry A 192.0.2.1\n{records}", "--json", "--ca", "letsencrypt.org"
    )

    assert _codes(outcome) == (["caa_forbids"] if forbidden else [])
    if forbidden:
        assert "letsencrypt.org will not issue" in outcome.json["findings"][0]["message"]
        assert f'{DOMAIN} CAA 0 issue "letsencrypt.org"' in outcome.json["findings"][0]["advice"]


def test_split_horizon(keep: NameKeeper, service: NameService) -> None:
    def check(records: str) -> Outcome:
        service.zones.clear()
        service.serve(ZONE, records)
        return keep("dns", "check", "moorage.yml", "--json")

    # A name of its own: others look up theirs at the same time.
    domain = f"split.{ZONE}"
    dns = {"provider": "manual", "nameservers": [service.address]}
    keep.write(dns, ["192.0.2.1"], registry={"domain": domain})
    with name_in_hosts(domain) as lead_to:
        lead_to("10.9.8.7")
        outcome = check("split A 192.0.2.1\n")
        unmade = check("")
    assert _codes(outcome) == ["split_horizon"]
    message = outcome.json["findings"][0]["message"]
    assert "10.9.8.7" in message
    assert "192.0.2.1" in message
    assert "have no record" in unmade.json["findings"][0]["message"]


def test_a_wildcard(keep: NameKeeper, service: NameService) -> None:
    outcome = _check(keep, service, "registry A 192.0.2.1\n* A 198.51.100.9\n", "--json")

    assert _codes(outcome) == ["wildcard"]
    message = outcome.json["findings"][0]["message"]
    assert f"{ZONE} has a wildcard record" in message
    assert "resolves to 198.51.100.9" in message


def test_an_ipv6_record_to_a_server_without_ipv6(
    keep: NameKeeper, service: NameService, server: LabServer
) -> None:
    service.zones.clear()
    service.serve(ZONE, f"registry A {server.address}\nregistry AAAA 2001:db8::77\n")
    keep.write({"provider": "manual", "nameservers": [service.address]}, [server])
    keep.add_known_hosts(server)

    def plan() -> Any:
        outcome = keep("plan", "moorage.yml", "--json")
        assert outcome.code == 0, outcome.stdout
        return outcome.json["dns"]["findings"]

    found = plan()
    assert [each["code"] for each in found] == ["ipv6_unreachable"]
    assert "AAAA record for 2001:db8::77" in found[0]["message"]
    assert "their global IPv6 addresses: none" in found[0]["message"]
    shown = keep("plan", "moorage.yml").stdout
    assert "note: " + found[0]["message"] in shown

    server.run("ip -6 address add 2001:db8::77/128 dev lo nodad")
    assert plan() == []
