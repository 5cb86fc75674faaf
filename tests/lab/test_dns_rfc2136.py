"""Records made, changed, shown as a diff and undone on a real bind9, signed with TSIG."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dns_at_work import ZONE, NameKeeper, keeper, signed
from operator_at_work import DOMAIN, Operator

from lab import Lab
from lab.names import NameService, TsigKey, start_bind
from moorage.dns.lookup import find_name_servers
from moorage.dns.records import plan_changes, record_sets
from moorage.dns.rfc2136 import Key, Rfc2136Provider
from moorage.errors import MoorageError

pytestmark = pytest.mark.ready

ALGORITHMS = ("hmac-sha256", "hmac-sha512", "hmac-sha384", "hmac-sha224", "hmac-sha1", "hmac-md5")


@pytest.fixture(scope="module")
def service(lab: Lab) -> Iterator[NameService]:
    """A bind9 for all tests of this module."""
    keys = [TsigKey.new(), *(TsigKey.new(f"key-{each}", each) for each in ALGORITHMS)]
    service = start_bind(lab, keys=keys)
    yield service
    lab.destroy(service.server)


@pytest.fixture
def names(service: NameService) -> NameService:
    """That bind9 with a fresh zone that holds nothing of the registry's."""
    service.zones.clear()
    service.serve(ZONE, "other A 192.0.2.99\n")
    return service


@pytest.fixture
def keep(operator: Operator, names: NameService) -> NameKeeper:
    """Somebody who keeps records in it."""
    return keeper(operator, names)


def test_records_are_created_changed_and_undone(keep: NameKeeper, names: NameService) -> None:
    keep.write(signed(names), ["192.0.2.1", "192.0.2.2", "2001:db8::1"])
    planned = keep("dns", "plan", "moorage.yml", "--detailed-exitcode")
    assert planned.code == 3
    assert f"+ {DOMAIN} 300 A 192.0.2.1" in planned.stdout
    assert names.dig(DOMAIN) == []

    made = keep("dns", "apply", "moorage.yml", "--yes")
    assert made.code == 0, made.stderr
    assert "served by its name server" in made.stdout
    assert names.dig(DOMAIN) == ["192.0.2.1", "192.0.2.2"]
    assert names.dig(DOMAIN, "AAAA") == ["2001:db8::1"]
    assert names.ttl(DOMAIN) == 300
    assert keep("dns", "plan", "moorage.yml", "--detailed-exitcode").code == 0
    assert keep("dns", "check", "moorage.yml").code == 0

    keep.write(signed(names, ttl=60), ["192.0.2.1", "192.0.2.3"])
    changed = keep("dns", "apply", "moorage.yml", "--yes", "--json")
    assert changed.code == 0, changed.stdout
    assert changed.json["is_served"]
    assert [each["action"] for each in changed.json["changes"]] == ["remove", "change"]
    assert names.dig(DOMAIN) == ["192.0.2.1", "192.0.2.3"]
    assert names.dig(DOMAIN, "AAAA") == []
    assert names.ttl(DOMAIN) == 60

    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert names.dig(DOMAIN) == ["192.0.2.1", "192.0.2.2"]
    assert names.dig(DOMAIN, "AAAA") == ["2001:db8::1"]
    assert names.ttl(DOMAIN) == 300
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert names.dig(DOMAIN) == names.dig(DOMAIN, "AAAA") == []

    nothing = keep("dns", "undo", "moorage.yml", "--yes", "--json")
    assert (nothing.code, nothing.json["error"]["code"]) == (1, "nothing_to_undo")


def test_a_cname_replaces_addresses_and_back(keep: NameKeeper, names: NameService) -> None:
    keep.write(signed(names), ["192.0.2.1"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0

    keep.write(signed(names, record="cname", target=f"other.{ZONE}"), ["192.0.2.1"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
    assert names.dig(DOMAIN, "CNAME") == [f"other.{ZONE}."]

    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert names.dig(DOMAIN, "CNAME") == []
    assert names.dig(DOMAIN) == ["192.0.2.1"]


def test_a_foreign_record_is_never_replaced_silently(keep: NameKeeper, names: NameService) -> None:
    names.serve(ZONE, "registry 120 A 198.51.100.7\n")
    keep.write(signed(names), ["192.0.2.1"])

    planned = keep("dns", "plan", "moorage.yml")
    assert f"- {DOMAIN} 120 A 198.51.100.7" in planned.stdout
    assert f"+ {DOMAIN} 300 A 192.0.2.1" in planned.stdout
    assert "foreign:" in planned.stdout

    refused = keep("dns", "apply", "moorage.yml", "--yes", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "dns_foreign")
    assert "198.51.100.7" in refused.json["error"]["message"]
    assert "--replace-records" in refused.json["error"]["advice"]
    assert names.dig(DOMAIN) == ["198.51.100.7"]

    assert keep("dns", "apply", "moorage.yml", "--yes", "--replace-records").code == 0
    assert names.dig(DOMAIN) == ["192.0.2.1"]
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert names.dig(DOMAIN) == ["198.51.100.7"]
    assert names.ttl(DOMAIN) == 120


def test_undo_keeps_records_others_have_changed_since(keep: NameKeeper, names: NameService) -> None:
    keep.write(signed(names), ["192.0.2.1"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
    names.serve(ZONE, "registry A 198.51.100.8\n")

    refused = keep("dns", "undo", "moorage.yml", "--yes", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (1, "dns_foreign")
    assert names.dig(DOMAIN) == ["198.51.100.8"]
    assert keep("dns", "undo", "moorage.yml", "--yes", "--replace-records").code == 0
    assert names.dig(DOMAIN) == []


def test_a_concurrent_change_is_not_overwritten(names: NameService) -> None:
    provider = Rfc2136Provider(
        names.address, key=Key(names.key.name, names.key.algorithm, names.key.secret)
    )
    changes = plan_changes((), record_sets(DOMAIN, ["192.0.2.1"], 60))
    names.serve(ZONE, "registry A 198.51.100.9\n")

    with pytest.raises(MoorageError, match="was changed on the name server") as caught:
        provider.write(changes)

    assert caught.value.code == "dns_changed_meanwhile"
    assert names.dig(DOMAIN) == ["198.51.100.9"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_signs(names: NameService, algorithm: str) -> None:
    key = next(each for each in names.keys if each.name == f"key-{algorithm}")
    provider = Rfc2136Provider(names.address, key=Key(key.name, algorithm, key.secret))

    provider.write(plan_changes((), record_sets(DOMAIN, ["192.0.2.1"], 60)))

    assert names.dig(DOMAIN) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ({"key": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"}, "dns_key_wrong", "moorage-key"),
        ({"key_name": "nobody"}, "dns_key_wrong", "nobody"),
        ({"algorithm": "hmac-sha512"}, "dns_key_wrong", "algorithm"),
        ({"key": "no base64 at all"}, "dns_key_wrong", "not valid base64"),
    ],
)
def test_a_wrong_key_is_reported(
    keep: NameKeeper, names: NameService, wrong: dict[str, str], code: str, said: str
) -> None:
    dns = signed(names)
    keep.environment["DNS_KEY"] = wrong.get("key", keep.environment["DNS_KEY"])
    dns["rfc2136"] |= {name: value for name, value in wrong.items() if name != "key"}
    keep.write(dns, ["192.0.2.1"])

    refused = keep("dns", "apply", "moorage.yml", "--yes", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (1, code)
    assert said in refused.json["error"]["message"]
    [at_fault] = refused.json["error"]["fields"]
    assert at_fault.startswith("dns.rfc2136")
    assert names.dig(DOMAIN) == []


def test_a_missing_zone_is_reported(keep: NameKeeper, names: NameService) -> None:
    names.zones.clear()
    names.serve("example.net")
    keep.write(signed(names), ["192.0.2.1"])

    refused = keep("dns", "plan", "moorage.yml", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (1, "no_zone")
    assert names.address in refused.json["error"]["message"]
    assert "dns.zone" in refused.json["error"]["fields"]

    keep.write(signed(names, zone="example.org"), ["192.0.2.1"])
    elsewhere = keep("dns", "plan", "moorage.yml", "--json")
    assert elsewhere.json["error"]["message"] == f"{DOMAIN} is not in the zone example.org."


def test_a_zone_cut_is_reported_with_the_servers_of_the_child_zone(
    keep: NameKeeper, names: NameService
) -> None:
    names.serve("test", "example NS ns.elsewhere.test.\n")
    del names.zones[ZONE]
    names.restart()
    keep.write(signed(names), ["192.0.2.1"])

    refused = keep("dns", "plan", "moorage.yml", "--json")

    assert refused.json["error"]["code"] == "no_zone"
    assert "delegates example.test to ns.elsewhere.test" in refused.json["error"]["message"]


def test_the_deepest_zone_of_a_server_is_the_one_changed(
    keep: NameKeeper, names: NameService
) -> None:
    names.serve("test", f"example NS ns1.example\nns1.example A {names.address}\n")
    keep.write(signed(names), ["192.0.2.1"])

    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0

    assert names.dig(DOMAIN) == ["192.0.2.1"]
    assert find_name_servers(DOMAIN, [names.address])[0] == ZONE


def test_a_name_server_that_does_not_answer_times_out_soon(
    keep: NameKeeper, names: NameService
) -> None:
    keep.write(signed(names), ["192.0.2.1"])
    names.server.run("systemctl kill -s STOP named")
    try:
        silent = keep("dns", "plan", "moorage.yml", "--json")
    finally:
        names.server.run("systemctl kill -s CONT named")

    assert silent.code == 1
    assert "does not answer within 2 s" in silent.json["error"]["message"]


def test_servfail_is_reported(keep: NameKeeper, names: NameService) -> None:
    broken = names.server.inside("/var/lib/bind/example.test.zone")
    broken.write_text("this is no zone\n")
    names.server.run("rndc reload || true; systemctl restart named; sleep 0.5")
    keep.write(signed(names), ["192.0.2.1"])

    failed = keep("dns", "plan", "moorage.yml", "--json")

    assert failed.code == 1
    assert "SERVFAIL" in failed.json["error"]["message"]


def test_journal_and_answers_contain_no_key(keep: NameKeeper, names: NameService) -> None:
    keep.write(signed(names), ["192.0.2.1"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0

    journal = keep.operator.home / "state" / "dns" / f"{DOMAIN}.json"
    assert journal.stat().st_mode & 0o777 == 0o600
    assert keep.environment["DNS_KEY"] not in journal.read_text()


def test_a_damaged_journal_is_reported(
    keep: NameKeeper, names: NameService, tmp_path: Path
) -> None:
    keep.write(signed(names), ["192.0.2.1"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
    (keep.operator.home / "state" / "dns" / f"{DOMAIN}.json").write_text("[{")

    refused = keep("dns", "undo", "moorage.yml", "--yes", "--json")

    assert refused.json["error"]["code"] == "journal_unreadable"


def test_a_hostile_record_is_shown_as_data_and_restored(
    keep: NameKeeper, names: NameService
) -> None:
    names.serve(ZONE, "registry 60 CNAME ev\\027\\091[31m\\010il.example.test.\n")
    before = names.dig(DOMAIN, "CNAME")
    keep.write(signed(names), ["192.0.2.1"])

    planned = keep("dns", "plan", "moorage.yml")
    assert "\x1b" not in planned.stdout
    assert "\\027" in planned.stdout
    assert keep("dns", "apply", "moorage.yml", "--yes", "--replace-records").code == 0
    assert names.dig(DOMAIN) == ["192.0.2.1"]
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert names.dig(DOMAIN, "CNAME") == before


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"registry": {"domain": "régistre.example.test"}}, "registry.domain"),
        ({"registry": {"domain": "-registry.example.test"}}, "registry.domain"),
        ({"registry": {"domain": "registry.example.test;rm -rf"}}, "registry.domain"),
        ({"dns": {"zone": "exa mple"}}, "dns.zone"),
        ({"dns": {"target": "a..b", "record": "cname"}}, "dns.target"),
        ({"dns": {"nameservers": ["192.0.2.1:99999"]}}, "dns.nameservers"),
        ({"dns": {"ttl": 0}}, "dns.ttl"),
        ({"dns": {"provider": "cloudflare"}}, "dns.provider"),
        ({"dns": {"failover": {"interval": 0}}}, "dns.failover.interval"),
        ({"dns": {"failover": {}}}, "dns.failover"),
    ],
)
def test_invalid_answers_are_reported_with_their_position(
    keep: NameKeeper, part: dict[str, Any], place: str
) -> None:
    keep.write({"provider": "manual"}, ["192.0.2.1"])
    document = {**keep.document, **part}
    keep.file.write_text(json.dumps(document))

    refused = keep("validate", "moorage.yml", "--json")

    assert refused.code == 2
    assert any(each["path"].startswith(place) for each in refused.json["error"]["problems"])


def test_names_can_end_in_a_dot(keep: NameKeeper, names: NameService) -> None:
    dns = signed(names, record="cname", target="LB.example.net.", zone=f"{ZONE}.")
    dns["rfc2136"]["key_name"] += "."
    keep.write(dns, ["192.0.2.1"])

    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0

    assert names.dig(DOMAIN, "CNAME") == ["lb.example.net."]
