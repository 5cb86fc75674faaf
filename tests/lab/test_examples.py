"""Every example in docs/examples, replayed on real servers.

What belongs to the reader is replaced: addresses, logins, files, the store, the name servers. The
registry's image is a 2.8, built on the spot; the rest is as in the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from certificate_maker import Authority
from operator_at_work import Operator

from lab import Lab, LabServer
from lab.acme import ACCOUNT_HMAC, ACCOUNT_KEY_ID, AcmeAuthority, start_authority
from lab.names import NameService, TsigKey, start_bind, start_powerdns
from lab.services import ObjectStore
from moorage.answers.load import load
from moorage.answers.model import Answers

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
# What the lab's 2.8 cannot do, or the lab has no counterpart of.
LEFT_OUT_S3 = {"keyid", "storageclass", "objectacl", "encrypt", "loglevel"}


class Replayed:
    """An example with what belongs to the reader replaced."""

    def __init__(self, example: Path, operator: Operator, folder: Path, lab: Lab) -> None:
        self.lab = lab
        self.authority: AcmeAuthority | None = None
        self.names: NameService | None = None
        self.answers = load(example)
        self.operator = operator
        self.folder = folder
        self.document: dict[str, Any] = self.answers.model_dump(mode="json", exclude_defaults=True)

    def on(self, machines: list[LabServer], image: Path, store: ObjectStore) -> Answers:
        """Return the answers for these machines."""
        self._servers(machines)
        self._passwords()
        registry = self.document["registry"]
        registry.pop("version", None)
        registry["image"] = "docker.io/library/registry:2.8"
        registry["image_archive"] = str(image)
        if "s3" in self.document.get("storage", {}):
            self._store(store)
        for hook in self.document.get("hooks", ()):
            hook["script"] = str(EXAMPLES / hook["script"])
        if self.document.get("ssl", {}).get("mode") == "files":
            self._certificate()
        if self.document.get("ssl", {}).get("mode") == "acme":
            self._acme(machines)
        if "passphrase" in self.document.get("ssl", {}).get("private_ca", {}):
            self.operator.monkeypatch.setenv("CA_PASSPHRASE", "example-passphrase")
            self.document["ssl"]["private_ca"]["passphrase"] = {"env": "CA_PASSPHRASE"}
        return Answers.model_validate(self.document)

    def _servers(self, machines: list[LabServer]) -> None:
        for server, machine in zip(self.document["servers"], machines, strict=True):
            for name in ("passphrase", "password", "jump", "port", "address"):
                server.pop(name, None)
            server |= {"host": machine.address, "user": "admin", "key": str(machine.key)}
            server["sudo_password"] = {"env": "SUDO_PASSWORD"}
        # Addresses that no server here has, and a load balancer that speaks first.
        for name in ("listen", "proxy_protocol"):
            self.document["registry"].pop(name, None)

    def _passwords(self) -> None:
        """Give every reference to a user's password something to lead to."""
        for position, user in enumerate(self.document["credentials"]["users"]):
            if set(user["password"]) & {"hash", "generate"}:
                continue
            password = f"example-password-{position}"
            self.operator.monkeypatch.setenv(f"USER_{position}", password)
            self.operator.passwords[user["name"]] = password
            user["password"] = {"env": f"USER_{position}"}
        for name, value in self.document["registry"].get("environment", {}).items():
            if isinstance(value, dict):
                self.operator.monkeypatch.setenv("EXAMPLE_HEADERS", "{X-Audit: [example-token]}")
                self.document["registry"]["environment"][name] = {"env": "EXAMPLE_HEADERS"}

    def _store(self, store: ObjectStore) -> None:
        self.operator.monkeypatch.setenv("S3_ACCESS", store.access_key)
        self.operator.monkeypatch.setenv("S3_SECRET", store.secret_key)
        section = self.document["storage"]["s3"]
        for name in LEFT_OUT_S3:
            section.pop(name, None)
        section |= {
            "bucket": store.bucket,
            "region": store.region,
            "regionendpoint": store.endpoint,
            "accesskey": {"env": "S3_ACCESS"},
            "secretkey": {"env": "S3_SECRET"},
            "secure": False,
        }

    def zone_at(self, store: ObjectStore) -> Answers:
        """Return the answers for a zone of the lab's; what is left out of them is manual."""
        dns = self.document.get("dns", {})
        provider = dns.get("provider")
        zone = self.answers.registry.domain.partition(".")[2]
        for name in {"rfc2136", "route53", "lexicon"} - {provider}:
            dns.pop(name, None)
        if provider == "rfc2136":
            self._bind(zone, dns)
        elif provider == "route53":
            client = boto3.client(
                "route53", endpoint_url=store.endpoint, region_name="us-east-1",
                aws_access_key_id=store.access_key, aws_secret_access_key=store.secret_key,
            )  # fmt: skip
            client.create_hosted_zone(Name=zone, CallerReference=self.folder.name)
            keys = {"accesskey": {"env": "S3_ACCESS"}, "secretkey": {"env": "S3_SECRET"}}
            self.operator.monkeypatch.setenv("S3_ACCESS", store.access_key)
            self.operator.monkeypatch.setenv("S3_SECRET", store.secret_key)
            dns["route53"] = {"endpoint": store.endpoint, **keys}
        elif provider == "lexicon":
            power = start_powerdns(self.lab, zone)
            self.operator.monkeypatch.setenv("DNS_TOKEN", power.token)
            options = {"pdns_server": power.api, "auth_token": {"env": "DNS_TOKEN"}}
            dns["lexicon"] = {"name": "powerdns", "options": options}
            dns["nameservers"] = [power.server.address]
        return Answers.model_validate(self.document)

    def _bind(self, zone: str, dns: dict[str, Any]) -> None:
        service = start_bind(self.lab)
        service.serve(zone)
        self.operator.monkeypatch.setenv("DNS_KEY", service.key.secret)
        dns["nameservers"] = [service.address]
        dns["rfc2136"] |= {
            "server": service.address,
            "key_name": service.key.name,
            "key": {"env": "DNS_KEY"},
            "algorithm": service.key.algorithm,
        }

    def _certificate(self) -> None:
        authority = Authority("Example root")
        leaf, key = authority.issue(self.answers.registry.domain)
        (self.folder / "fullchain.pem").write_bytes(leaf + authority.pem)
        (self.folder / "key.pem").write_bytes(key)
        self.document["ssl"]["files"] = {
            "certificate": str(self.folder / "fullchain.pem"),
            "key": str(self.folder / "key.pem"),
        }

    def _acme(self, machines: list[LabServer]) -> None:
        """Let the lab's authority take the place of Let's Encrypt or the company's own."""
        section = self.document["ssl"]["acme"]
        domain = self.answers.registry.domain
        name_server = None
        account = "external_account" in section
        if section.get("challenge") == "dns-01":
            self.names = start_bind(self.lab, keys=[TsigKey.new(algorithm="hmac-sha512")])
            self.names.serve("example.com", "")
            self.operator.monkeypatch.setenv("TSIG_KEY", self.names.key.secret)
            section["dns"]["credentials"] |= {
                "server": self.names.address,
                "name": f"{self.names.key.name}.",
            }
            name_server = f"{self.names.address}:53"
        self.authority = start_authority(
            self.lab, self.folder / "authority", name_server=name_server, requires_account=account
        )
        if account:
            self.operator.monkeypatch.setenv("ACME_HMAC", ACCOUNT_HMAC)
            section["external_account"]["kid"] = ACCOUNT_KEY_ID
        if name_server is None:
            self.authority.set_addresses(domain, *(machine.address for machine in machines))
        section |= {
            "directory": self.authority.directory,
            "ca_file": str(self.authority.ca_file),
            "staging": False,
        }

    def end(self) -> None:
        """Stop what was started for the example."""
        if self.authority is not None:
            self.authority.stop()
        if self.names is not None:
            self.lab.destroy(self.names.server)


@pytest.mark.ready("certbot")
@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.stem)
def test_an_example_can_be_replayed(
    example: Path,
    operator: Operator,
    servers: Any,
    registry_image: Path,
    s3: ObjectStore,
    lab: Lab,
    tmp_path: Path,
) -> None:
    replayed = Replayed(example, operator, tmp_path, lab)
    try:
        _replay(replayed, operator, servers, registry_image, s3)
    finally:
        replayed.end()


def _replay(
    replayed: Replayed, operator: Operator, servers: Any, registry_image: Path, s3: ObjectStore
) -> None:
    engine = {"docker": "docker.io", "podman": "podman"}.get(replayed.answers.registry.runtime)
    extra = None if engine is None else [engine]
    machines = servers(len(replayed.answers.servers), extra=extra)
    replayed.on(machines, registry_image, s3)
    answers = replayed.zone_at(s3)

    # Once to S3, and not once a server: it goes through a store that is slow.
    to_one = answers.storage.driver == "s3" and len(machines) == 1
    outcome = operator.apply(answers, verify=True, large_upload=to_one)

    assert outcome.report.is_good, (outcome.report, outcome.log)
    assert outcome.verification is not None
    bad = [check for check in outcome.verification.checks if check.status == "bad"]
    assert not bad, bad
    assert not operator.plan(answers).has_changes
    if answers.dns.provider != "manual":
        with operator.open(answers) as deployment:
            made = deployment.name.apply(deployment.name.plan())
            assert made.is_served or answers.dns.provider == "route53", made
            assert not deployment.name.plan().changes
