"""`moorage images` with images in a bucket: the same as on a disk, with the right keys only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from calls import Moorage, write_answers
from fake_server import FakeServer, FakeServers, deploy, no_answer
from moto.server import ThreadedMotoServer
from stored_registry import OCI, StoredRegistry

from moorage.desired import layout
from moorage.images.collection import untagged_blobs

ONE, TWO = "one.example.test", "two.example.test"
SECRET = "the-secret-key-of-the-bucket"
BUCKETS = iter(f"images-{number}" for number in range(1000))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> StoredRegistry:
    """Images on a disk: names that begin like others, an index, a moved tag, referrers, damage."""
    registry = StoredRegistry(tmp_path_factory.mktemp("images"))
    for name in ("math", "math-voila", "math/deep"):
        for tag in ("0.1.2", "0.1.20", "0.1.2-x"):
            layers = [registry.blob(name, b"base" * 100), registry.blob(name, tag.encode())]
            registry.image(name, layers, tag)
    children = [
        registry.image("app", [registry.blob("app", each.encode())])
        | {"platform": {"os": "linux", "architecture": each}}
        for each in ("amd64", "arm64")
    ]
    registry.image("app", [], "moved")
    index = registry.index("app", children, "v1", "moved")
    registry.image("app", [registry.blob("app", b"sbom")], subject=index)
    config = registry.blob("app", json.dumps({"os": "linux", "created": "today"}).encode())
    registry.manifest("app", {
        "mediaType": f"{OCI}.manifest.v1+json", "layers": [],
        "config": config | {"mediaType": f"{OCI}.config.v1+json"},
    }, "config")  # fmt: skip
    lost = registry.blob("app", b"lost")
    registry.image("app", [lost], "incomplete")
    value = lost["digest"].partition(":")[2]
    (registry.v2 / f"blobs/sha256/{value[:2]}/{value}/data").unlink()
    registry.write("repositories/app/_manifests/tags/torn/current/link", b"")
    return registry


def _upload(endpoint: str, registry: StoredRegistry, prefix: str, **options: Any) -> str:
    """Put a registry into a new bucket; return the bucket's name."""
    bucket = next(BUCKETS)
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="x", aws_secret_access_key="y",
    )  # fmt: skip
    client.create_bucket(Bucket=bucket)
    for path in registry.root.rglob("*"):
        if path.is_file():
            key = f"{prefix}{path.relative_to(registry.root)}"
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes(), **options)
    return bucket


def _answers(home: Path, endpoint: str, bucket: str, prefix: str, more: str = "") -> Path:
    file = write_answers(home / f"{bucket}.yml", [ONE, TWO])
    keys = "accesskey: {env: S3_ACCESS}, secretkey: {env: S3_SECRET}, "
    text, count = re.subn(
        r"s3: \{[^}]*\}",
        f"s3: {{bucket: {bucket}, region: us-east-1, regionendpoint: {endpoint!r}, "
        f"rootdirectory: {prefix!r}, {keys}{more}}}",
        file.read_text(),
    )
    assert count == 1
    file.write_text(text)
    return file


def _deploy(server: FakeServer, file: Path) -> None:
    deploy(server, file)
    server.files[layout.REGISTRY_ENV] = (
        "# Written by Moorage.\n"
        'REGISTRY_HTTP_SECRET="\\"s\\""\n'
        'REGISTRY_STORAGE_S3_ACCESSKEY="\\"an-access-key\\""\n'
        f'REGISTRY_STORAGE_S3_SECRETKEY="\\"{SECRET}\\""\n'
    ).encode()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the bucket's keys into the operator's shell, and no other AWS credentials."""
    monkeypatch.setenv("S3_ACCESS", "an-access-key")
    monkeypatch.setenv("S3_SECRET", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def bucket(endpoint: str, registry: StoredRegistry) -> str:
    """A bucket with these images."""
    return _upload(endpoint, registry, "deep/")


@pytest.fixture
def file(home: Path, servers: FakeServers, endpoint: str, bucket: str) -> Path:
    """Answers for two servers that share a bucket."""
    file = _answers(home, endpoint, bucket, "/deep")
    for host in (ONE, TWO):
        _deploy(servers[host], file)
    return file


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        left_out = {"store", "read_at", "free_bytes", "pushed_at", "pulls_known_since"}
        return {key: _without_times(each) for key, each in value.items() if key not in left_out}
    return [_without_times(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("checksums", ["md5", "others"])
def test_a_bucket_is_listed_like_a_disk(
    moorage: Moorage, file: Path, home: Path, servers: FakeServers, registry: StoredRegistry,
    endpoint: str, bucket: str, checksums: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if checksums == "others":
        # As with keys of a KMS: a checksum does not tell the content.
        monkeypatch.setattr("moorage.cloud.s3_images._matching", lambda checksum, digests: "")
    disk = write_answers(home / "disk.yml", [ONE])
    listed = moorage("images", "list", str(file), "--json").json
    shown = {
        name: moorage("images", "show", str(file), f"app:{name}", "--json").json
        for name in ("v1", "moved", "config", "incomplete")
    }
    text = moorage("images", "list", str(file))

    _deploy(servers[ONE], disk)
    servers[ONE].images = registry.root
    assert _without_times(listed) == _without_times(
        moorage("images", "list", str(disk), "--json").json
    )
    for name, value in shown.items():
        assert _without_times(value) == _without_times(
            moorage("images", "show", str(disk), f"app:{name}", "--json").json
        )
    assert listed["store"] == {
        "driver": "s3", "server": None, "folder": None, "bucket": bucket, "prefix": "deep",
        "endpoint": endpoint,
    }  # fmt: skip
    assert listed["free_bytes"] is None
    assert f"Read from the bucket {bucket} at {endpoint}, prefix deep." in text.stdout
    assert {each["name"] for each in listed["repositories"]} == {
        "app", "math", "math-voila", "math/deep",
    }  # fmt: skip
    assert shown["config"]["images"][0]["config"]["created"] == "today"


def test_a_listing_of_many_pages(
    moorage: Moorage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = moorage("images", "list", str(file), "--json").json
    monkeypatch.setattr("moorage.cloud.s3_images.PAGE", 7)
    value = moorage("images", "list", str(file), "--json").json
    assert _without_times(value) == _without_times(expected)


def test_one_server_is_enough(moorage: Moorage, file: Path, servers: FakeServers) -> None:
    servers[ONE].fault = no_answer(ONE)
    outcome = moorage("images", "list", str(file))
    assert outcome.code == 0
    assert f"{ONE}: " in outcome.stderr
    servers[TWO].fault = no_answer(TWO)
    assert moorage("images", "list", str(file)).code == 4


def test_without_the_answers_the_keys_of_the_server_are_used(
    moorage: Moorage, file: Path, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("S3_SECRET")
    words = ("images", "list", "--server", f"root@{ONE}")
    # Without a terminal, nothing is connected to that only the record names.
    refused = moorage(*words, "--json")
    assert refused.code == 1
    assert refused.json["error"]["code"] == "store_not_named"

    asked = []
    monkeypatch.setattr("moorage.cli.output.Output.is_interactive", True)
    monkeypatch.setattr(
        "moorage.cli.asker.CommandLineAsker._ask",
        lambda self, question: bool(asked.append(question) or len(asked) > 1),
    )
    assert moorage(*words).code == 1
    accepted = moorage(*words)
    assert accepted.code == 0
    assert "math-voila" in accepted.stdout
    assert "names the bucket" in asked[0]
    assert SECRET not in accepted.stdout + accepted.stderr
    count = len(asked)
    retained = moorage("images", "retain", "--server", f"root@{ONE}", "--json")
    assert len(asked) > count
    assert retained.json["error"]["code"] != "store_not_named"

    servers[ONE].files[layout.REGISTRY_ENV] = b'REGISTRY_HTTP_SECRET="\\"s\\""\n'
    assert moorage(*words, "--json").json["error"]["code"] == "storage_no_keys"


def test_what_stops_it(
    moorage: Moorage, file: Path, home: Path, servers: FakeServers, endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    words = ("images", "list", str(file), "--json")
    monkeypatch.delenv("S3_SECRET")
    missing = moorage(*words)
    assert missing.code == 2
    assert missing.json["error"]["fields"] == ["storage.s3.secretkey"]
    monkeypatch.setenv("S3_SECRET", SECRET)
    # A record that names another bucket gets neither the keys nor a connection.
    other = _answers(home, endpoint, "another-bucket", "")
    for host in (ONE, TWO):
        _deploy(servers[host], other)
    assert moorage(*words).json["error"]["code"] == "different_stores"
    assert moorage("images", "list", str(other), "--json").json["error"]["code"] == (
        "storage_refused"
    )
    without = _answers(home, endpoint, "without-keys", "")
    text = without.read_text()
    without.write_text(re.sub(r"accesskey: .*secretkey: \{env: S3_SECRET\}, ", "", text))
    for host in (ONE, TWO):
        _deploy(servers[host], without)
    assert moorage("images", "list", str(without), "--json").json["error"]["code"] == (
        "storage_no_keys"
    )


CHANGES = pytest.mark.parametrize(
    "words", [["collect", "--yes"], ["delete", "app:v1", "--yes"], ["restore", "--yes"]]
)


@CHANGES
def test_images_in_a_bucket_are_changed_with_all_servers_only(
    moorage: Moorage, file: Path, servers: FakeServers, words: list[str]
) -> None:
    command, *names = words
    servers[TWO].fault = no_answer(TWO)
    refused = moorage("images", command, str(file), *names, "--json")
    assert refused.code == 1
    assert refused.json["error"]["code"] == "images_server_missing"
    assert TWO in refused.json["error"]["server"]
    assert servers[ONE].runs == 0


def test_a_cache_on_one_server_stops_it(moorage: Moorage, file: Path, servers: FakeServers) -> None:
    for host, more in ((ONE, b""), (TWO, b"  cache:\n    blobdescriptor: inmemory\n")):
        files = servers[host].files
        files[layout.NGINX_SITE] = b"set $moorage_is_held no;\n"
        files[layout.config_path("blue")] = b"storage:\n  s3:\n    bucket: images\n" + more
    refused = moorage("images", "collect", str(file), "--yes", "--json")
    assert refused.json["error"]["code"] == "images_settings"
    assert refused.json["error"]["server"] == TWO


def test_the_trash_of_a_bucket(
    moorage: Moorage, file: Path, registry: StoredRegistry, endpoint: str, bucket: str
) -> None:
    assert "empty" in moorage("images", "trash", str(file)).stdout
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="x", aws_secret_access_key="y",
    )  # fmt: skip
    digest = f"sha256:{'a' * 64}"
    pieces = [
        ["repositories/app/_manifests/tags/old", "", 0, ["x/current/link"]],
        [f"blobs/sha256/aa/{'a' * 64}/data", digest, 1234, []],
    ]
    stored, size = next(iter(untagged_blobs(registry.read()).items()))
    value = stored.partition(":")[2]
    pieces.append([f"blobs/sha256/{value[:2]}/{value}/data", stored, size, []])
    values = {"state": "checked", "at": 1.0, "is_purge": False, "pieces": pieces}
    key = "deep/moorage-trash/20260101-000000-abcd.000/run.json"
    client.put_object(Bucket=bucket, Key=key, Body=json.dumps(values).encode())
    try:
        shown = moorage("images", "trash", str(file), "--json").json
        assert shown["bytes"] == 1234 + size
        [tag] = shown["runs"][0]["tags"]
        assert (tag["repository"], tag["tag"]) == ("app", "old")
        # Only what is still stored and not needed again takes up space.
        assert moorage("images", "list", str(file), "--json").json["trash_bytes"] == size
        listed = moorage("images", "list", str(file)).stdout
        assert f"In the trash: {size} B." in listed
        # What is in the trash is not the registry's.
        assert "moorage-trash" not in listed
        client.put_object(Bucket=bucket, Key=key, Body=b"{")
        damaged = moorage("images", "trash", str(file), "--json")
        assert damaged.json["error"]["code"] == "images_unreadable"
        unknown = moorage("images", "list", str(file), "--json").json
        assert (unknown["collectable_bytes"], unknown["trash_bytes"]) == (None, None)
    finally:
        client.delete_object(Bucket=bucket, Key=key)
