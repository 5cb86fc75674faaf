"""Upgrades of the registry's program, while clients push and pull."""

from __future__ import annotations

import json

import pytest
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN
from test_kept_programs import running
from traffic import Traffic
from waiting import wait_until

from lab import LabServer
from lab.machine import say
from moorage.answers.secrets import Secret
from moorage.deploy.registry_client import RegistryClient

pytestmark = pytest.mark.ready
CLIENTS = 8
PIN = "Package: *\nPin: release n=trixie\nPin-Priority: 100\n"
SOURCES = "/etc/apt/sources.list.d"
ANSWERS = """\
# Our registry
version: 1
registry:
  domain: {domain}
  runtime: {runtime}
  # Chosen by Ana
  image: {image}   # the official one
  image_archive: {archive}
servers:
  - host: {host}
    user: root
    key: {key}
credentials:
  users:
    - name: ci
      access: push
      password: {{env: CI_PW}}
"""


def add_newer_release(server: LabServer) -> None:
    """Let apt know the packages of the next release, without preferring them."""
    sources = server.read_file(f"{SOURCES}/debian.sources")
    newer = "\n\n".join(
        each for each in sources.split("\n\n") if "Suites: bookworm\n" in f"{each}\n"
    )
    server.write_file(f"{SOURCES}/newer.sources", newer.replace("bookworm", "trixie"))
    server.write_file("/etc/apt/preferences.d/newer", PIN)


def client_of(call: CommandLine, server: LabServer) -> RegistryClient:
    """Return a client that is logged in as ci."""
    authority = next((call.home / "state" / "ca").glob("*/ca.pem")).read_bytes()
    return RegistryClient(server.address, 443, DOMAIN, True, authority, "ci", Secret(PASSWORD))


def push_image(client: RegistryClient, repository: str, tag: str) -> str:
    """Push a small image and return its manifest's digest."""
    from traffic import push_blob

    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "of": f"{repository}:{tag}"}
    ).encode()
    layer = f"layer of {repository}:{tag}".encode() * 100
    kind = "application/vnd.oci.image"
    parts = [
        {
            "mediaType": f"{kind}.config.v1+json",
            "digest": push_blob(client, repository, config),
            "size": len(config),
        },
        {
            "mediaType": f"{kind}.layer.v1.tar",
            "digest": push_blob(client, repository, layer),
            "size": len(layer),
        },
    ]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": parts[0],
            "layers": parts[1:],
        }
    ).encode()
    answer = client.request(
        "PUT",
        f"/v2/{repository}/manifests/{tag}",
        body=manifest,
        headers={"Content-Type": f"{kind}.manifest.v1+json"},
    )
    assert answer.status == 201, answer
    return answer.header("Docker-Content-Digest") or ""


def pulls(client: RegistryClient, repository: str, reference: str) -> bool:
    """Whether the manifest of an image can be pulled."""
    kind = "application/vnd.oci.image.manifest.v1+json"
    path = f"/v2/{repository}/manifests/{reference}"
    return client.request("GET", path, headers={"Accept": kind}).status == 200


def installed(server: LabServer, package: str = "docker-registry") -> str:
    """Return a package's version."""
    return server.run(f"dpkg-query -W -f '${{Version}}' {package}").stdout


def test_the_package_is_upgraded_and_nothing_else(call: CommandLine, server: LabServer) -> None:
    call.write_answers(server)
    call.add_known_hosts(server)
    applied = call("apply", "moorage.yml", "--yes", "--show-passwords", "--skip-large-upload")
    assert applied.code == 0, applied.stdout + applied.stderr
    client = client_of(call, server)
    digest = push_image(client, "team/app", "1")
    before, program = installed(server), running(server)

    # As new as it gets, and what is not there.
    none = call("upgrade", "moorage.yml", "--yes")
    assert (none.code, none.stdout) == (0, "Nothing to upgrade.\n"), none.stderr
    unknown = call("upgrade", "moorage.yml", "--yes", "--to-version", "2.8.3")
    assert unknown.code == 1
    assert f"Available: {before}." in unknown.stderr, unknown.stderr

    add_newer_release(server)
    packages = server.run("dpkg-query -W").stdout
    assert call("upgrade", "moorage.yml", "--yes").stdout == "Nothing to upgrade.\n"
    with Traffic([client] * CLIENTS) as traffic:
        done = call(
            "upgrade",
            "moorage.yml",
            "--yes",
            "--to-version",
            "2.8.3",
            "--json",
            "--skip-large-upload",
        )
    assert done.code == 0, done.stdout + done.stderr
    say(f"{traffic.count} pushes and pulls during an upgrade, {len(traffic.failures)} failed")
    assert traffic.count > CLIENTS
    assert traffic.failures == []
    after = installed(server)
    assert done.result["upgrades"] == [
        {
            "server": server.address,
            "from": f"docker-registry {before}",
            "to": f"docker-registry {after}",
        }
    ]
    assert "has read " in done.stdout
    assert after.startswith("2.8.3")
    changed = set(server.run("dpkg-query -W").stdout.splitlines()) - set(packages.splitlines())
    assert changed == {f"docker-registry\t{after}"}
    assert running(server) != program
    assert pulls(client, "team/app", digest)
    assert (
        call("upgrade", "moorage.yml", "--yes", "--to-version", "2.8.3").stdout
        == "Nothing to upgrade.\n"
    )
    assert call("plan", "moorage.yml", "--detailed-exitcode").code == 0

    # The proven program also serves after a reboot, and an apply keeps it.
    new = running(server)
    server.crash()
    server.start()
    wait_until(lambda: call.operator.status(server, password=PASSWORD) == 200)
    assert running(server) == new
    # And back.
    back = call("upgrade", "moorage.yml", "--yes", "--to-version", before, "--no-verify")
    assert back.code == 0, back.stdout + back.stderr
    assert (installed(server), running(server)) == (before, program)
