"""What has to change at a name, and what is somebody else's."""

from __future__ import annotations

import pytest

from moorage.dns import journal
from moorage.dns.caa import caa_identity
from moorage.dns.cloudflare import is_cloudflare
from moorage.dns.lookup import split_endpoint
from moorage.dns.records import RecordChange, RecordSet, plan_changes, record_sets

NAME = "registry.example.test"


def _a(*values: str, ttl: int | None = 300) -> RecordSet:
    return RecordSet.of(NAME, "A", values, ttl)


def test_equal_records_are_not_a_change() -> None:
    assert plan_changes([_a("192.0.2.2", "192.0.2.1")], [_a("192.0.2.1", "192.0.2.2")]) == ()
    assert plan_changes([_a("192.0.2.1", ttl=None)], [_a("192.0.2.1")]) == ()


def test_values_are_normalized() -> None:
    assert RecordSet.of("Registry.Example.Test.", "AAAA", ["2001:DB8:0::1"]).lines() == (
        f"{NAME} AAAA 2001:db8::1",
    )
    assert RecordSet.of(NAME, "CNAME", ["LB.Example.Net."]).values == ("lb.example.net",)
    with pytest.raises(ValueError, match="does not appear to be"):
        RecordSet.of(NAME, "A", ["not an address"])


def test_a_diff_lists_removed_kept_and_added_records() -> None:
    change = RecordChange(_a("192.0.2.1", "192.0.2.2"), _a("192.0.2.2", "192.0.2.3"))

    assert change.action == "change"
    assert change.diff == (
        f"- {NAME} 300 A 192.0.2.1",
        f"  {NAME} 300 A 192.0.2.2",
        f"+ {NAME} 300 A 192.0.2.3",
    )
    assert change.reverse.reverse == change


def test_records_this_deployment_did_not_create_are_foreign() -> None:
    wanted = [_a("192.0.2.1")]

    def foreign(*now: str, known: tuple[str, ...] = ()) -> list[bool]:
        return [each.is_foreign for each in plan_changes([_a(*now)], wanted, known)]

    assert foreign("192.0.2.9") == [True]
    assert foreign("192.0.2.1", "192.0.2.9") == [True]
    assert foreign("192.0.2.9", known=("192.0.2.9",)) == [False]
    assert [each.is_foreign for each in plan_changes([], wanted)] == [False]


def test_removals_come_before_additions() -> None:
    there = [_a("192.0.2.1"), RecordSet.of(NAME, "AAAA", ["2001:db8::1"], 300)]

    changes = plan_changes(there, record_sets(NAME, ["lb.example.net"], 300))

    assert [each.action for each in changes] == ["remove", "remove", "add"]


def test_with_failover_some_of_the_servers_are_enough() -> None:
    wanted = [_a("192.0.2.1", "192.0.2.2", "192.0.2.3")]

    assert plan_changes([_a("192.0.2.2")], wanted, may_be_subset=True) == ()
    assert plan_changes([], wanted, may_be_subset=True)[0].after == wanted[0]
    strange = plan_changes([_a("192.0.2.2", "192.0.2.9")], wanted, may_be_subset=True)
    assert strange[0].after == wanted[0]
    assert strange[0].is_foreign
    slower = plan_changes([_a("192.0.2.2", ttl=600)], wanted, may_be_subset=True)
    assert slower[0].after == _a("192.0.2.2")


def test_the_journal_merges_consecutive_failover_changes(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOORAGE_STATE", str(tmp_path))
    both, one, other = _a("192.0.2.1", "192.0.2.2"), _a("192.0.2.1"), _a("192.0.2.2")
    journal.remember(NAME, "apply", "here", [RecordChange(None, both)])
    journal.remember(NAME, "failover", "here", [RecordChange(both, one)])
    journal.remember(NAME, "failover", "here", [RecordChange(one, both)])
    journal.remember(NAME, "failover", "here", [RecordChange(both, other)])

    kept = journal.entries(NAME)

    assert [each.by for each in kept] == ["apply", "failover"]
    assert kept[1].changes == (RecordChange(both, other),)
    assert journal.known_values(NAME) == {"192.0.2.1", "192.0.2.2"}
    journal.forget_last(NAME)
    assert [each.by for each in journal.entries(NAME)] == ["apply"]


@pytest.mark.parametrize(
    ("address", "is_proxy"),
    [
        ("104.16.0.1", True), ("172.71.255.255", True), ("172.72.0.0", False),
        ("2606:4700::1", True), ("192.0.2.1", False), ("lb.example.net", False),
    ],
)  # fmt: skip
def test_cloudflares_addresses_are_known(address: str, is_proxy: bool) -> None:
    assert is_cloudflare(address) is is_proxy


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 53), ("192.0.2.1:5353", "192.0.2.1", 5353),
        ("2001:db8::1", "2001:db8::1", 53), ("[2001:db8::1]:5353", "2001:db8::1", 5353),
        ("ns1.example.test:54", "ns1.example.test", 54), ("[2001:db8::1]", "2001:db8::1", 53),
    ],
)  # fmt: skip
def test_name_servers_are_written_with_or_without_a_port(text: str, host: str, port: int) -> None:
    assert split_endpoint(text) == (host, port)


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("https://acme-v02.api.letsencrypt.org/directory", "letsencrypt.org"),
        ("https://acme.zerossl.com/v2/DV90", "sectigo.com"),
        ("https://ca.internal:9000/acme/acme/directory", ""),
        ("nonsense", ""),
    ],
)
def test_cas_are_recognized_by_their_directory(directory: str, name: str) -> None:
    assert caa_identity(directory) == name
