"""Records through dns-lexicon, on a real PowerDNS and its API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dns_at_work import ZONE, NameKeeper
from operator_at_work import DOMAIN, Operator
from thorough import THOROUGH

from lab import Lab
from lab.names import PowerDns, start_powerdns

pytestmark = pytest.mark.ready


@pytest.fixture(scope="module")
def power(lab: Lab) -> Iterator[PowerDns]:
    """A PowerDNS for all tests of this module."""
    power = start_powerdns(lab, ZONE)
    yield power
    lab.destroy(power.server)


@pytest.fixture
def keep(operator: Operator, power: PowerDns) -> Iterator[NameKeeper]:
    """Somebody with the API's token in their shell; the name is free afterwards."""
    places = ("/etc/powerdns/pdns.conf", "/etc/moorage-failover/*/secrets.json")
    operator.leaks.add(power.token, places, label="the API's token")
    yield NameKeeper(operator, {"PDNS_TOKEN": power.token})
    for kind in ("A", "AAAA", "CNAME"):
        power.server.run(["pdnsutil", "delete-rrset", ZONE, "registry", kind], check=False)


def _dns(power: PowerDns, options: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    given = {"pdns_server": power.api, "auth_token": {"env": "PDNS_TOKEN"}, **(options or {})}
    return {
        "provider": "lexicon",
        "lexicon": {"name": "powerdns", "options": given},
        "nameservers": [power.server.address],
        **more,
    }


def test_records_are_created_changed_and_undone(keep: NameKeeper, power: PowerDns) -> None:
    keep.write(_dns(power), ["192.0.2.1", "192.0.2.2", "2001:db8::1"])
    made = keep("dns", "apply", "moorage.yml", "--yes")
    assert made.code == 0, made.stderr
    assert "served by its name server" in made.stdout
    assert power.dig(DOMAIN) == ["192.0.2.1", "192.0.2.2"]
    assert power.dig(DOMAIN, "AAAA") == ["2001:db8::1"]
    assert keep("dns", "plan", "moorage.yml", "--detailed-exitcode").code == 0

    keep.write(_dns(power, ttl=60), ["192.0.2.2", "192.0.2.3"])
    changed = keep("dns", "apply", "moorage.yml", "--yes")
    assert changed.code == 0, changed.stderr
    assert power.dig(DOMAIN) == ["192.0.2.2", "192.0.2.3"]
    assert power.dig(DOMAIN, "AAAA") == []

    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert power.dig(DOMAIN) == ["192.0.2.1", "192.0.2.2"]
    assert power.dig(DOMAIN, "AAAA") == ["2001:db8::1"]
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert power.dig(DOMAIN) == power.dig(DOMAIN, "AAAA") == []


def test_a_cname_and_back(keep: NameKeeper, power: PowerDns) -> None:
    keep.write(_dns(power), ["192.0.2.1"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
    keep.write(_dns(power, record="cname", target=f"ns1.{ZONE}"), ["192.0.2.1"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
    assert power.dig(DOMAIN, "CNAME") == [f"ns1.{ZONE}."]
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert power.dig(DOMAIN) == ["192.0.2.1"]


def test_a_foreign_record_is_never_replaced_silently(keep: NameKeeper, power: PowerDns) -> None:
    power.server.run(["pdnsutil", "add-record", ZONE, "registry", "A", "120", "198.51.100.7"])
    keep.write(_dns(power), ["192.0.2.1"])

    refused = keep("dns", "apply", "moorage.yml", "--yes", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (1, "dns_foreign")
    assert power.dig(DOMAIN) == ["198.51.100.7"]
    assert keep("dns", "apply", "moorage.yml", "--yes", "--replace-records").code == 0
    assert power.dig(DOMAIN) == ["192.0.2.1"]
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert power.dig(DOMAIN) == ["198.51.100.7"]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"name": "powerdnss"}, "no_provider", "Did you mean powerdns"),
        ({"options": {"auth_tokn": {"env": "PDNS_TOKEN"}}}, "no_option", "Its options: auth_token"),
    ],
)
def test_a_provider_unknown_to_lexicon_is_reported(
    keep: NameKeeper, power: PowerDns, change: dict[str, Any], code: str, said: str
) -> None:
    dns = _dns(power)
    dns["lexicon"] |= change
    keep.write(dns, ["192.0.2.1"])

    refused = keep("dns", "plan", "moorage.yml", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (1, code)
    assert said in refused.json["error"]["advice"]
    offline = keep("validate", "moorage.yml")
    assert offline.code == 2
    assert "dns.lexicon." in offline.stderr


def test_a_wrong_token_a_missing_zone_and_no_network_are_reported(
    keep: NameKeeper, power: PowerDns
) -> None:
    keep.environment["PDNS_TOKEN"] = "not-the-token"
    keep.write(_dns(power), ["192.0.2.1"])
    refused = keep("dns", "apply", "moorage.yml", "--yes", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "dns_key_wrong")
    assert "not-the-token" not in refused.stdout + refused.stderr

    keep.environment["PDNS_TOKEN"] = power.token
    keep.write(_dns(power, zone="test"), ["192.0.2.1"])
    missing = keep("dns", "plan", "moorage.yml", "--json")
    assert missing.json["error"]["code"] == "no_zone"

    keep.write(_dns(power, {"pdns_server": "http://127.0.0.1:9"}), ["192.0.2.1"])
    unreachable = keep("dns", "plan", "moorage.yml", "--json")
    assert "powerdns cannot be reached" in unreachable.json["error"]["message"]


def test_a_plain_text_secret_is_rejected(keep: NameKeeper, power: PowerDns) -> None:
    keep.write(_dns(power, {"auth_token": "in-clear-in-the-file"}), ["192.0.2.1"])

    refused = keep("validate", "moorage.yml")

    assert refused.code == 2
    assert "dns.lexicon.options.auth_token: must not be a secret in plain text" in refused.stderr
    assert "in-clear-in-the-file" not in refused.stdout + refused.stderr


@pytest.mark.parametrize("suite", ["bookworm", pytest.param("trixie", marks=THOROUGH)])
def test_the_failover_service_ships_lexicon(
    keep: NameKeeper, power: PowerDns, servers: Any, suite: str
) -> None:
    (watcher,) = servers(1, suite=suite)
    power.server.run(["pdnsutil", "add-record", ZONE, "registry", "A", "60", "192.0.2.1"])
    keep.write(
        _dns(power, zone=ZONE, failover={}), ["192.0.2.1", "192.0.2.2"], ssl={"mode": "none"}
    )
    keep.add_known_hosts(watcher)
    (keep.operator.home / ".ssh" / "config").write_text(
        f"Host {watcher.address}\n  IdentityFile {watcher.key}\n"
    )
    on = ["--on", f"root@{watcher.address}"]

    installed = keep("failover", "install", "moorage.yml", *on, "--json")

    assert installed.json["state"] == "active", installed.stdout + installed.stderr
    assert installed.json["watch"]["problem"] is None
    assert installed.json["watch"]["record"] == ["192.0.2.1"]
    assert keep("failover", "uninstall", "moorage.yml", *on).code == 0
