"""Images are read from a server's disk as its registry serves them, with every runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import PASSWORD, CommandLine
from image_client import CONFIG, MANIFEST, ImageClient, digest_of
from operator_at_work import DOMAIN
from thorough import THOROUGH

from lab import LabServer
from lab.image import REGISTRY_3_TAG, REGISTRY_TAG
from lab.services import ObjectStore
from moorage.answers.secrets import Secret
from moorage.deploy.verify.registry_client import RegistryClient

BASE = b"base" * 50_000


def _registry(call: CommandLine, server: LabServer) -> ImageClient:
    authority = next((call.home / "state" / "ca").glob("*/ca.pem")).read_bytes()
    return ImageClient(
        RegistryClient(server.address, 443, DOMAIN, True, authority, "ci", Secret(PASSWORD))
    )


def _image(
    registry: ImageClient, tag: str, architecture: str, layers: list[bytes], **more: Any
) -> dict[str, Any]:
    """Push an image for one platform, with history and labels."""
    config = json.dumps({
        "os": "linux", "architecture": architecture, "created": "2026-01-01T00:00:00Z",
        "config": {"Labels": {"team": "a"}, "Cmd": ["serve"]},
        "history": [{"created_by": f"COPY {number} /"} for number in range(len(layers))],
    }).encode()  # fmt: skip
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {**registry.blob("team-a/app", config), "mediaType": CONFIG},
        "layers": [registry.blob("team-a/app", layer) for layer in layers], **more,
    }  # fmt: skip
    return registry.manifest("team-a/app", tag, manifest)


def _push_everything(registry: ImageClient) -> dict[str, dict[str, Any]]:
    """Push an index of two platforms, what refers to it, a moved tag, and shared layers."""
    children = [
        _image(registry, "", architecture, [BASE, architecture.encode() * 1000])
        | {"platform": {"os": "linux", "architecture": architecture}}
        for architecture in ("amd64", "arm64")
    ]
    index = registry.index("team-a/app", "v1", children)
    _image(registry, "", "unknown", [b"attestation"], subject=index)
    hexadecimal = index["digest"].partition(":")[2]
    registry.push("team-a/app", f"sha256-{hexadecimal}.sig", [b"signature"])
    before = _image(registry, "latest", "amd64", [b"before"])
    after = _image(registry, "latest", "amd64", [BASE])
    registry.push("team-b/web", "v1", [BASE], source="team-a/app")
    return {"index": index, "before": before, "after": after}


def _check_list(call: CommandLine, server: LabServer, registry: ImageClient) -> None:
    value = call("images", "list", "moorage.yml", "--json").json
    listed = {each["name"]: each for each in value["repositories"]}
    assert set(registry.catalog()) == set(listed)
    for name, repository in listed.items():
        answer = registry.client.request("GET", f"/v2/{name}/tags/list")
        assert sorted(json.loads(answer.body)["tags"]) == [
            tag["name"] for tag in repository["tags"]
        ]
        pulled = {}
        for tag in repository["tags"]:
            image = registry.pull(name, tag["name"])
            assert tag["digest"] == next(iter(image))
            assert tag["bytes"] == sum(map(len, image.values()))
            assert (tag["missing"], tag["problem"]) == ([], None)
            pulled |= image
        referrers = repository["bytes"] - sum(map(len, pulled.values()))
        assert (referrers > 0) is (name == "team-a/app")  # the attestation, which has no tag
    assert listed["team-b/web"]["bytes"] - listed["team-b/web"]["own_bytes"] == len(BASE)
    assert listed["team-a/app"]["untagged_manifests"] == 1
    folder = value["store"]["folder"]
    used = server.run(f"cat {folder}/docker/registry/v2/blobs/*/*/*/data | wc -c").stdout
    assert value["bytes"] == int(used)
    tag = next(tag for tag in listed["team-a/app"]["tags"] if tag["name"] == "v1")
    assert tag["platforms"] == ["linux/amd64", "linux/arm64"]


def _check_show(
    call: CommandLine, registry: ImageClient, pushed: dict[str, dict[str, Any]]
) -> None:
    shown = call("images", "show", "moorage.yml", f"{DOMAIN}/team-a/app:v1", "--json").json
    assert shown["digest"] == pushed["index"]["digest"]
    assert [each["platform"] for each in shown["images"]] == ["linux/amd64", "linux/arm64"]
    for each in shown["images"]:
        image = registry.pull("team-a/app", each["digest"])
        assert each["bytes"] == sum(map(len, image.values()))
        assert [layer["digest"] for layer in each["layers"]] == [
            digest_of(BASE), digest_of(each["platform"][6:].encode() * 1000),
        ]  # fmt: skip
        # In both platforms, in the image that latest names now, and in that of other repositories.
        assert each["layers"][0]["images"] == 4
        assert each["config"]["labels"] == {"team": "a"}
        assert [step["layer"] for step in each["config"]["history"]] == [
            layer["digest"] for layer in each["layers"]
        ]
    assert [each["by"] for each in shown["referrers"]] == ["subject", "tag"]
    moved = call("images", "show", "moorage.yml", "team-a/app:latest", "--json").json
    assert moved["digest"] == pushed["after"]["digest"]
    assert [each["digest"] for each in moved["earlier"]] == [pushed["before"]["digest"]]
    text = call("images", "show", "moorage.yml", "team-a/app:v1")
    assert text.code == 0
    assert "COPY 0 /" in text.stdout


@pytest.mark.parametrize(
    "runtime",
    [
        "package",
        pytest.param("docker", marks=[pytest.mark.ready("docker.io"), THOROUGH]),
        pytest.param("podman", marks=[pytest.mark.ready("podman"), THOROUGH]),
    ],
)
def test_images_are_listed_as_the_registry_serves_them(
    runtime: str, server: LabServer, call: CommandLine, registry_image: Path
) -> None:
    chosen = {"image": REGISTRY_TAG, "image_archive": str(registry_image)}
    chosen = {} if runtime == "package" else chosen
    _deploy_and_check(call, server, {"runtime": runtime, **chosen})


def test_images_of_registry_3(server: LabServer, call: CommandLine, registry_3_image: Path) -> None:
    chosen = {"image": REGISTRY_3_TAG, "image_archive": str(registry_3_image)}
    _deploy_and_check(call, server, {"runtime": "podman", **chosen})


def test_images_in_a_bucket(
    server: LabServer, call: CommandLine, registry_3_image: Path, s3: ObjectStore
) -> None:
    call.environment |= {"S3_ACCESS": s3.access_key, "S3_SECRET": s3.secret_key}
    bucket = {
        "bucket": s3.bucket, "region": s3.region, "regionendpoint": s3.endpoint, "secure": False,
        "accesskey": {"env": "S3_ACCESS"}, "secretkey": {"env": "S3_SECRET"},
    }  # fmt: skip
    registry = {
        "domain": DOMAIN, "runtime": "podman", "image": REGISTRY_3_TAG,
        "image_archive": str(registry_3_image),
    }  # fmt: skip
    call.write_answers(server, registry=registry, storage={"driver": "s3", "s3": bucket})
    call.add_known_hosts(server)
    applied = call("apply", "moorage.yml", "--yes", "--no-verify", "--show-passwords")
    assert applied.code == 0, applied.stderr
    client = _registry(call, server)
    pushed = _push_everything(client)
    # Names that begin like others, of which this version's own lists leave some out.
    names = {(name, tag) for name in ("math", "math-voila") for tag in ("0.1.2", "0.1.20")}
    for name, tag in names:
        client.push(name, tag, [BASE])

    value = call("images", "list", "moorage.yml", "--json").json

    images = {
        (each["name"], tag["name"]): tag for each in value["repositories"] for tag in each["tags"]
    }
    assert names <= images.keys()
    assert {name for name, _ in images} >= set(client.catalog())
    for (name, tag), row in images.items():
        image = client.pull(name, tag)
        assert (row["digest"], row["bytes"]) == (next(iter(image)), sum(map(len, image.values())))
        assert (row["missing"], row["problem"]) == ([], None)
    assert value["store"]["bucket"] == s3.bucket
    _check_show(call, client, pushed)
    # Without the answers, only the record names the store: nobody agreed to connect to it.
    login = f"root@{server.address}"
    refused = call("images", "list", "--server", login, "--key", str(server.key), "--json")
    assert refused.json["error"]["code"] == "store_not_named"


def _deploy_and_check(call: CommandLine, server: LabServer, registry: dict[str, str]) -> None:
    call.write_answers(server, registry={"domain": DOMAIN, **registry})
    call.add_known_hosts(server)
    applied = call("apply", "moorage.yml", "--yes", "--no-verify", "--show-passwords")
    assert applied.code == 0, applied.stderr
    assert call("images", "list", "moorage.yml").code == 0
    client = _registry(call, server)
    pushed = _push_everything(client)
    _check_list(call, server, client)
    _check_show(call, client, pushed)
    # The same without the answers, and without a password: CI_PW is not needed.
    call.environment["CI_PW"] = ""
    login = f"root@{server.address}"
    by_server = call("images", "list", "--server", login, "--key", str(server.key), "--json")
    assert by_server.json["repositories"]
    assert call("images", "list", "moorage.yml").code == 0
