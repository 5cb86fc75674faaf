"""Uninstalling servers with a bucket, certificates of certbot and hooks: one, then the others."""

from __future__ import annotations

import hashlib
import urllib.request
from dataclasses import replace
from typing import Any

import pytest
from acme_answers import acme_section
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN
from server_listing import BY_SYSTEM, LEFT_BY_DEBIAN, check_same, listing, of_moorage
from test_several_servers import s3_storage
from traffic import push_blob

from lab.acme import AcmeAuthority
from lab.services import ObjectStore
from moorage.answers.secrets import Secret
from moorage.deploy.verify.registry_client import RegistryClient

DIGEST = hashlib.sha256(b"layer" * 1000).hexdigest()


def test_servers_with_a_bucket_and_certificates(
    call: CommandLine,
    servers: Any,
    authority: AcmeAuthority,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = servers(2)
    before = listing(first)
    storage = s3_storage(s3, monkeypatch, rootdirectory="/uninstalled")
    call.environment |= {
        "CI_PW": PASSWORD,
        "S3_ACCESS_KEY": s3.access_key,
        "S3_SECRET_KEY": s3.secret_key,
    }
    authority.set_addresses(DOMAIN, first.address, second.address)
    call.add_known_hosts(first, second)
    hook = call.home / "hook.sh"
    hook.write_text("#!/bin/sh\ntouch /root/applied\n")
    call.write_answers(
        first, second, storage=storage, ssl={"mode": "acme", "acme": acme_section(authority)},
        hooks=[{"name": "note", "when": ["after_apply"], "script": str(hook)}],
    )  # fmt: skip
    applied = call("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to", "pw")
    assert applied.code == 0, applied
    registry = RegistryClient(
        first.address, 443, DOMAIN, True, authority.roots(), "ci", Secret(PASSWORD)
    )
    push_blob(registry, "team/app", b"layer" * 1000)
    objects = _objects(s3)
    assert "uninstalled/docker/registry/" in objects

    # One server: the other one serves the images, and FILE still belongs to the deployment.
    one = ("uninstall", "moorage.yml", "--limit", first.address, "--yes")
    refused = call(*one, "--images", "--json")
    assert refused.result["error"]["code"] == "images_in_bucket", refused
    assert f"uninstalled, too: {second.address}" in refused.result["error"]["advice"]
    done = call(*one, "--packages")
    assert done.code == 0, done
    assert f"still served by {second.address}, its record has {first.address}" in done.stdout
    after = listing(first)
    assert of_moorage(after) == []
    check_same(before, after, (*BY_SYSTEM, *LEFT_BY_DEBIAN))
    other = replace(registry, address=second.address)
    assert b"layer" in other.request("GET", f"/v2/team/app/blobs/sha256:{DIGEST}").body
    assert "based_on" in (call.home / "moorage.yml").read_text()

    done = call("uninstall", "moorage.yml", "--yes")
    assert done.code == 0, done
    assert "--gone" not in done.stdout
    assert "based_on" not in (call.home / "moorage.yml").read_text()
    assert _objects(s3) == objects
    left = second.run("find / -xdev -path '*moorage*' ! -path '/proc/*'").stdout.split()
    assert sorted(left) == ["/var/lib/moorage", "/var/lib/moorage/additions"]


def _objects(s3: ObjectStore) -> str:
    """Return the listing of the bucket, without what differs each time."""
    with urllib.request.urlopen(f"{s3.endpoint}/{s3.bucket}?list-type=2", timeout=30) as answer:
        return str(answer.read().decode())
