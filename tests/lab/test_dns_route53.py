"""Records in Route 53, as moto serves it: made, changed, shown as a diff, undone."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from dns_at_work import ZONE, NameKeeper
from operator_at_work import DOMAIN, Operator

from lab import Lab
from lab.services import ObjectStore, start_object_store

pytestmark = pytest.mark.ready


@pytest.fixture(scope="module")
def cloud(lab: Lab) -> Iterator[ObjectStore]:
    """A moto of this module's own."""
    store = start_object_store(lab)
    yield store
    store.stop()


@pytest.fixture
def route53(cloud: ObjectStore) -> Any:
    """A client of an empty Route 53 with one zone."""
    _post(cloud, "reset")
    client = boto3.client(
        "route53",
        endpoint_url=cloud.endpoint,
        region_name="us-east-1",
        aws_access_key_id=cloud.access_key,
        aws_secret_access_key=cloud.secret_key,
    )
    client.create_hosted_zone(Name=ZONE, CallerReference="one")
    return client


@pytest.fixture
def keep(operator: Operator, cloud: ObjectStore) -> NameKeeper:
    """Somebody with an access key in their shell."""
    operator.leaks.add(cloud.secret_key, label="the secret key")
    return NameKeeper(operator, {"AWS_A": cloud.access_key, "AWS_S": cloud.secret_key})


def _post(cloud: ObjectStore, what: str, body: bytes = b"") -> None:
    request = urllib.request.Request(
        f"{cloud.endpoint}/moto-api/{what}",
        data=body,
        headers={"Content-Type": "text/plain"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10):
        return


def _dns(cloud: ObjectStore, section: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    keys = {"accesskey": {"env": "AWS_A"}, "secretkey": {"env": "AWS_S"}}
    route53 = {"endpoint": cloud.endpoint, **keys, **(section or {})}
    return {"provider": "route53", "route53": route53, **more}


def _zone(client: Any) -> str:
    identity: str = client.list_hosted_zones()["HostedZones"][0]["Id"]
    return identity


def _sets(client: Any, kind: str = "A") -> list[dict[str, Any]]:
    listed = client.list_resource_record_sets(HostedZoneId=_zone(client))["ResourceRecordSets"]
    return [each for each in listed if each["Name"] == f"{DOMAIN}." and each["Type"] == kind]


def _values(client: Any, kind: str = "A") -> list[str]:
    return sorted(
        record["Value"] for each in _sets(client, kind) for record in each["ResourceRecords"]
    )


def _put(client: Any, **record_set: Any) -> None:
    change = {"Action": "CREATE", "ResourceRecordSet": {"Name": DOMAIN, **record_set}}
    client.change_resource_record_sets(
        HostedZoneId=_zone(client), ChangeBatch={"Changes": [change]}
    )


def test_records_are_created_changed_and_undone(
    keep: NameKeeper, cloud: ObjectStore, route53: Any
) -> None:
    keep.write(_dns(cloud), ["192.0.2.1", "192.0.2.2", "2001:db8::1"])
    planned = keep("dns", "plan", "moorage.yml", "--detailed-exitcode")
    assert planned.code == 3, planned.stderr
    assert f"+ {DOMAIN} 300 A 192.0.2.1" in planned.stdout

    made = keep("dns", "apply", "moorage.yml", "--yes")
    assert made.code == 0, made.stderr
    assert _values(route53) == ["192.0.2.1", "192.0.2.2"]
    assert _values(route53, "AAAA") == ["2001:db8::1"]
    assert keep("dns", "plan", "moorage.yml", "--detailed-exitcode").code == 0

    keep.write(_dns(cloud, ttl=60), ["192.0.2.2", "192.0.2.3"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
    assert _values(route53) == ["192.0.2.2", "192.0.2.3"]
    assert _values(route53, "AAAA") == []
    assert _sets(route53)[0]["TTL"] == 60

    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert _values(route53) == ["192.0.2.1", "192.0.2.2"]
    assert _values(route53, "AAAA") == ["2001:db8::1"]
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert _values(route53) == _values(route53, "AAAA") == []


def test_a_cname(keep: NameKeeper, cloud: ObjectStore, route53: Any) -> None:
    keep.write(_dns(cloud, record="cname", target="lb.example.net"), ["192.0.2.1"])

    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0

    assert _values(route53, "CNAME") == ["lb.example.net"]


def test_failover_is_multivalue_answers_with_health_checks(
    keep: NameKeeper, cloud: ObjectStore, route53: Any
) -> None:
    failover = {"interval": 10, "fall": 3}
    keep.write(_dns(cloud, failover=failover), ["192.0.2.1", "192.0.2.2"])
    made = keep("dns", "apply", "moorage.yml", "--yes")
    assert made.code == 0, made.stderr
    assert "(with a health check)" in made.stdout

    sets = _sets(route53)
    assert len(sets) == 2
    assert all(each["MultiValueAnswer"] and each["TTL"] == 60 for each in sets)
    checks = {each["Id"]: each for each in route53.list_health_checks()["HealthChecks"]}
    for each in sets:
        config = checks[each["HealthCheckId"]]["HealthCheckConfig"]
        assert config["IPAddress"] == each["ResourceRecords"][0]["Value"]
        assert (config["Port"], config["Type"]) == (443, "TCP")
        assert (config["RequestInterval"], config["FailureThreshold"]) == (10, 3)
    assert keep("dns", "plan", "moorage.yml", "--detailed-exitcode").code == 0

    keep.write(_dns(cloud, failover=failover), ["192.0.2.2", "192.0.2.3"])
    assert keep("dns", "apply", "moorage.yml", "--yes").code == 0
    assert _values(route53) == ["192.0.2.2", "192.0.2.3"]
    left = {each["HealthCheckConfig"]["IPAddress"]
            for each in route53.list_health_checks()["HealthChecks"]}  # fmt: skip
    assert left == {"192.0.2.2", "192.0.2.3"}, "no check is left of the server that went"

    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert _values(route53) == ["192.0.2.1", "192.0.2.2"]

    watch = keep("failover", "moorage.yml", "--once", "--json")
    assert (watch.code, watch.json["error"]["code"]) == (1, "no_watch")
    assert "Route 53 checks the servers itself" in watch.json["error"]["message"]


def test_a_foreign_record_is_never_replaced_silently(
    keep: NameKeeper, cloud: ObjectStore, route53: Any
) -> None:
    _put(route53, Type="A", TTL=120, ResourceRecords=[{"Value": "198.51.100.7"}])
    keep.write(_dns(cloud), ["192.0.2.1"])

    refused = keep("dns", "apply", "moorage.yml", "--yes", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (1, "dns_foreign")
    assert _values(route53) == ["198.51.100.7"]
    assert keep("dns", "apply", "moorage.yml", "--yes", "--replace-records").code == 0
    assert _values(route53) == ["192.0.2.1"]
    assert keep("dns", "undo", "moorage.yml", "--yes").code == 0
    assert (_values(route53), _sets(route53)[0]["TTL"]) == (["198.51.100.7"], 120)


def test_records_that_cannot_be_restored_are_not_touched(
    keep: NameKeeper, cloud: ObjectStore, route53: Any
) -> None:
    _put(route53, Type="A", TTL=120, SetIdentifier="blue", Weight=7,
         ResourceRecords=[{"Value": "198.51.100.7"}])  # fmt: skip
    keep.write(_dns(cloud), ["192.0.2.1"])

    refused = keep("dns", "apply", "moorage.yml", "--yes", "--replace-records", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (1, "dns_foreign")
    assert "Weight" in refused.json["error"]["message"]
    assert _values(route53) == ["198.51.100.7"]


def test_missing_and_ambiguous_zones_are_reported(
    keep: NameKeeper, cloud: ObjectStore, route53: Any
) -> None:
    keep.write(_dns(cloud, {"zone_id": "Z0NOTTHERE"}), ["192.0.2.1"])
    missing = keep("dns", "plan", "moorage.yml", "--json")
    assert missing.json["error"]["code"] == "no_zone"
    assert "no such zone in this account" in missing.json["error"]["message"]

    keep.write(_dns(cloud), ["192.0.2.1"])
    second = route53.create_hosted_zone(Name=ZONE, CallerReference="two")["HostedZone"]["Id"]
    both = keep("dns", "plan", "moorage.yml", "--json")
    assert both.json["error"]["code"] == "no_zone"
    assert "2 public zones" in both.json["error"]["message"]
    assert second.rpartition("/")[2] in both.json["error"]["message"]

    keep.write(_dns(cloud), ["192.0.2.1"], registry={"domain": "registry.elsewhere.test"})
    none = keep("dns", "plan", "moorage.yml", "--json")
    assert "no public zone in Route 53 for registry.elsewhere.test" in none.json["error"]["message"]


def test_wrong_keys_and_no_network_are_reported(
    keep: NameKeeper, cloud: ObjectStore, route53: Any
) -> None:
    assert _zone(route53)
    keep.write(_dns(cloud), ["192.0.2.1"])
    _post(cloud, "reset-auth", b"0")
    try:
        refused = keep("dns", "apply", "moorage.yml", "--yes", "--json")
    finally:
        _post(cloud, "reset-auth", b"1000000")
    assert (refused.code, refused.json["error"]["code"]) == (1, "dns_key_wrong")
    assert "access key" in refused.json["error"]["message"]
    assert "route53:" in refused.json["error"]["advice"]

    keep.write(_dns(cloud, {"endpoint": "http://127.0.0.1:9"}), ["192.0.2.1"])
    unreachable = keep("dns", "plan", "moorage.yml", "--json")
    assert unreachable.code == 1
    assert "Route 53 cannot be reached" in unreachable.json["error"]["message"]
