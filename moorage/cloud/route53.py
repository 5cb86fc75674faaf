"""Zones in Amazon Route 53: records, and health checks that drop unreachable addresses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from moorage.dns.lookup import DnsError, call_provider
from moorage.dns.records import KINDS, RecordChange, RecordSet, clean_name

_CONNECT_TIMEOUT = 5
_READ_TIMEOUT = 20
TIMEOUT = 60.0
"""Seconds for one read or write, each of which takes several requests."""
_MARK = "moorage"
_ROUTED = (
    "AliasTarget", "Weight", "Region", "GeoLocation", "Failover", "CidrRoutingConfig",
    "GeoProximityLocation", "TrafficPolicyInstanceId",
)  # fmt: skip
"""Fields of record sets with a routing policy, which Moorage could not restore."""


@dataclass(frozen=True)
class Keys:
    """An access key ID and its secret key."""

    access: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class HealthCheck:
    """The health check of each address: a TCP connection, because ``/v2/`` requires a password.

    Route 53 treats an HTTPS response of 401 as unhealthy.

    Attributes:
        port: The registry's port.
        interval: Seconds between checks; Route 53 supports 10 and 30.
        fall: Failed checks in a row before an address is removed.
    """

    port: int
    interval: int
    fall: int


@dataclass(frozen=True)
class Route53Provider:
    """A hosted zone.

    Attributes:
        zone_id: Its ID, or None for the public zone that contains the name.
        keys: The access key, or None for this machine's AWS credentials.
        profile: A profile from ~/.aws/config, or None.
        endpoint: An endpoint other than Amazon's, or None.
        health_check: How addresses are checked, or None.
    """

    zone_id: str | None = None
    keys: Keys | None = None
    profile: str | None = None
    endpoint: str | None = None
    health_check: HealthCheck | None = None

    @property
    def title(self) -> str:
        """The provider's name as shown to users."""
        return "route53" + (f", zone {self.zone_id}" if self.zone_id else "")

    @property
    def can_write(self) -> bool:
        """Always true."""
        return True

    def read(self, name: str) -> tuple[RecordSet, ...]:
        """Return the records of a name; see :class:`moorage.dns.records.Provider`."""

        def work() -> tuple[RecordSet, ...]:
            with _explained(name):
                zone = self._zone(name)
                return _understood(name, self._raw(zone, name))

        return call_provider(TIMEOUT, "Route 53", work)

    def write(self, changes: Sequence[RecordChange]) -> None:
        """Make changes, all or none; see :class:`moorage.dns.records.Provider`."""
        if not changes:
            return
        first = changes[0].after or changes[0].before
        assert first is not None
        name = first.name
        call_provider(TIMEOUT, "Route 53", partial(self._write, name, changes))

    def _write(self, name: str, changes: Sequence[RecordChange]) -> None:
        with _explained(name):
            zone = self._zone(name)
            raw = self._raw(zone, name)
            now = {each.kind: each for each in _understood(name, raw)}
            batch: list[dict[str, Any]] = []
            checks_gone: set[str] = set()
            for change in changes:
                kind = (change.after or change.before or RecordSet(name, "A", ())).kind
                current = now.get(kind)
                if not (current.matches(change.before) if current else change.before is None):
                    raise DnsError(
                        f"{name} was changed in Route 53 in the meantime; nothing was changed.",
                        advice="Run 'moorage dns plan FILE' to see the current records.",
                        code="dns_changed_meanwhile",
                    )
                gone = [each for each in raw if each["Type"] == kind]
                batch += [{"Action": "DELETE", "ResourceRecordSet": each} for each in gone]
                checks_gone |= {each["HealthCheckId"] for each in gone if "HealthCheckId" in each}
            for change in changes:
                if change.after is not None:
                    # DELETE fails if the set differs from what was read, CREATE if one exists.
                    action = "CREATE" if change.before is None else "UPSERT"
                    batch += [
                        {"Action": action, "ResourceRecordSet": each}
                        for each in self._sets(change.after)
                    ]
            kept = {
                each["ResourceRecordSet"].get("HealthCheckId")
                for each in batch
                if each["Action"] != "DELETE"
            }
            self._client.change_resource_record_sets(
                HostedZoneId=zone,
                ChangeBatch={"Comment": "moorage", "Changes": batch},
            )
            self._remove_checks(checks_gone - kept)

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        session = boto3.Session(
            aws_access_key_id=self.keys.access if self.keys else None,
            aws_secret_access_key=self.keys.secret if self.keys else None,
            profile_name=self.profile,
        )
        settings = Config(
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
            retries={"max_attempts": 2, "mode": "standard"},
        )
        # Route 53 is a global service whose API expects this region in signatures.
        return session.client(
            "route53", region_name="us-east-1", endpoint_url=self.endpoint, config=settings
        )

    def _zone(self, name: str) -> str:
        if self.zone_id is not None:
            found = self._client.get_hosted_zone(Id=self.zone_id)["HostedZone"]
            if not _is_in(name, found["Name"]):
                raise DnsError(
                    f"{name} is not in the zone {clean_name(found['Name'])} ({self.zone_id}).",
                    advice="Correct the zone's id.",
                    fields=("dns.route53.zone_id",),
                    code="no_zone",
                )
            return self.zone_id
        zones = [
            each
            for page in self._client.get_paginator("list_hosted_zones").paginate()
            for each in page["HostedZones"]
            if _is_in(name, each["Name"]) and not each.get("Config", {}).get("PrivateZone")
        ]
        longest = max((len(each["Name"]) for each in zones), default=0)
        best = [each for each in zones if len(each["Name"]) == longest]
        if len(best) > 1:
            ids = ", ".join(each["Id"].rpartition("/")[2] for each in best)
            raise DnsError(
                f"this account has {len(best)} public zones {clean_name(best[0]['Name'])}: {ids}.",
                advice="Set the id of the one that the domain's NS records point to.",
                fields=("dns.route53.zone_id",),
                code="no_zone",
            )
        if not best:
            raise DnsError(
                f"this account has no public zone in Route 53 for {name}.",
                advice="Is it the right account? For a private zone, set its id.",
                fields=("dns.route53.zone_id",),
                code="no_zone",
            )
        identity: str = best[0]["Id"].rpartition("/")[2]
        return identity

    def _raw(self, zone: str, name: str) -> list[dict[str, Any]]:
        """Return a name's record sets as Route 53 stores them."""
        found: list[dict[str, Any]] = []
        pages = self._client.get_paginator("list_resource_record_sets").paginate(
            HostedZoneId=zone, StartRecordName=name
        )
        for page in pages:
            for each in page["ResourceRecordSets"]:
                if clean_name(each["Name"]) != name:
                    return found
                if each["Type"] in KINDS:
                    found.append(each)
        return found

    def _sets(self, records: RecordSet) -> list[dict[str, Any]]:
        """Return Route 53's form of a record set: with health checks, one set per address."""
        base = {"Name": records.name, "Type": records.kind, "TTL": records.ttl or 300}
        if not records.checked or self.health_check is None:
            resources = [{"Value": value} for value in records.values]
            return [{**base, "ResourceRecords": resources}]
        return [
            {
                **base,
                "SetIdentifier": f"{_MARK} {records.name} {value}",
                "MultiValueAnswer": True,
                "HealthCheckId": self._check_for(records.name, value),
                "ResourceRecords": [{"Value": value}],
            }
            for value in records.values
        ]

    def _check_for(self, name: str, address: str) -> str:
        """Return the ID of an address's health check, creating the check if there is none."""
        assert self.health_check is not None
        config = {
            "IPAddress": address,
            "Port": self.health_check.port,
            "Type": "TCP",
            "RequestInterval": 10 if self.health_check.interval < 30 else 30,
            "FailureThreshold": min(10, self.health_check.fall),
        }
        for page in self._client.get_paginator("list_health_checks").paginate():
            for each in page["HealthChecks"]:
                existing = each["HealthCheckConfig"]
                if each["CallerReference"].startswith(f"{_MARK}-") and all(
                    existing.get(key) == value for key, value in config.items()
                ):
                    return str(each["Id"])
        created = self._client.create_health_check(
            CallerReference=f"{_MARK}-{uuid.uuid4()}", HealthCheckConfig=config
        )["HealthCheck"]
        self._client.change_tags_for_resource(
            ResourceType="healthcheck",
            ResourceId=created["Id"],
            AddTags=[{"Key": "Name", "Value": f"{name} {address}"}],
        )
        return str(created["Id"])

    def _remove_checks(self, identities: set[str]) -> None:
        """Delete Moorage's own health checks that no record uses any longer."""
        for identity in identities:
            check = self._client.get_health_check(HealthCheckId=identity)["HealthCheck"]
            if check["CallerReference"].startswith(f"{_MARK}-"):
                self._client.delete_health_check(HealthCheckId=identity)


def _is_in(name: str, zone: str) -> bool:
    zone = clean_name(zone)
    return name == zone or name.endswith(f".{zone}")


def _understood(name: str, raw: Sequence[dict[str, Any]]) -> tuple[RecordSet, ...]:
    """Convert Route 53's record sets.

    Raises:
        DnsError: A record set has a routing policy, which Moorage could not restore.
    """
    found = []
    for kind in KINDS:
        sets = [each for each in raw if each["Type"] == kind]
        if not sets:
            continue
        special = next((key for each in sets for key in _ROUTED if key in each), None)
        if special is not None:
            raise DnsError(
                f"{name} has {kind} records with {special} in Route 53. Moorage changes only "
                "simple records and its own multivalue answers.",
                advice="To replace them, delete them in Route 53 first.",
                code="dns_foreign",
            )
        values = [record["Value"] for each in sets for record in each["ResourceRecords"]]
        checked = any("HealthCheckId" in each for each in sets)
        found.append(RecordSet.of(name, kind, values, int(sets[0]["TTL"]), checked=checked))
    return tuple(found)


_REASONS = {
    "InvalidClientTokenId": ("the access key is unknown", "dns_key_wrong"),
    "SignatureDoesNotMatch": ("the secret key does not match the access key", "dns_key_wrong"),
    "InvalidSignatureException": ("the secret key does not match the access key", "dns_key_wrong"),
    "AccessDenied": ("these keys are not allowed to do this", "dns_refused"),
    "AccessDeniedException": ("these keys are not allowed to do this", "dns_refused"),
    "NoSuchHostedZone": ("there is no such zone in this account", "no_zone"),
}


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn boto3's errors into messages the operator can act on."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        kind, text = str(details.get("Code", "")), str(details.get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        other = (f"{kind}: {text}".strip(":. ") or f"HTTP {status}", "dns_failed")
        if status == 403:
            other = (
                "the access key is unknown or not allowed to do this (HTTP 403)",
                "dns_key_wrong",
            )
        message, code = _REASONS.get(kind, other)
        raise DnsError(
            f"Route 53 refused to read or change {name}: {message}.",
            advice="The keys need route53:ListHostedZones, ListResourceRecordSets and "
            "ChangeResourceRecordSets; failover also needs the health check permissions."
            if code in {"dns_refused", "dns_key_wrong"}
            else "Compare the settings with the zone in the AWS console.",
            fields=("dns.route53",),
            code=code,
        ) from None
    except (NoCredentialsError, ProfileNotFound) as error:
        raise DnsError(
            f"this machine has no AWS credentials for Route 53: {error}".rstrip(".") + ".",
            advice="Set an access key and its secret key, or log in with the AWS CLI.",
            fields=("dns.route53",),
            code="dns_key_wrong",
        ) from None
    except BotoCoreError as error:
        raise DnsError(
            f"Route 53 cannot be reached: {str(error).rstrip('.')}.",
            advice="Check this machine's network.",
            code="dns_failed",
        ) from None
