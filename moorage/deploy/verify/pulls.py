"""Checks of a registry that takes no pushes: a pull-through cache, or one that is read-only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from moorage.deploy.verify.check_results import Bad, Skipped, digest_of, expect
from moorage.deploy.verify.registry_client import Answer, RegistryClient, split_address
from moorage.errors import MoorageError

_MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)
_MOST_TRIED = 5
_IMAGES_OF_DOCKER_HUB = ("library/hello-world", "library/busybox")


def push_refused(client: RegistryClient, repository: str) -> str:
    """Check that the registry refuses an upload, and return what it answers."""
    answer = client.request("POST", f"/v2/{repository}/blobs/uploads/")
    if answer.status == 202:
        client.request("DELETE", answer.header("Location") or "/v2/")
    expect(answer, 405)
    return "405, as its settings say"


def pull_stored(client: RegistryClient) -> str:
    """Pull an image that the registry has, and return its name and digest."""
    for repository in _repositories(client):
        for tag in _tags(client, repository)[:1]:
            return _pull(client, repository, tag)
    raise Skipped("the registry has no images", "no_images")


def pull_through(client: RegistryClient, upstream: str) -> str:
    """Pull an image through the cache, and return its name and digest.

    Args:
        client: The cache.
        upstream: The URL of the registry that it caches; empty if unknown.
    """
    host = split_address(upstream).netloc.rpartition("@")[2]
    problem: MoorageError | None = None
    for repository in _candidates(client, upstream, host):
        tags = _tags(client, repository)
        try:
            return f"{_pull(client, repository, tags[0] if tags else 'latest')} from {host}"
        except Bad as error:
            problem = error
    if problem is not None:
        raise problem
    text = f"{host or 'the registry behind it'} does not list its images to anonymous users"
    raise Skipped(text, "no_list")


def _candidates(client: RegistryClient, upstream: str, host: str) -> Iterator[str]:
    if host == "docker.io" or host.endswith((".docker.io", ".docker.com")):
        yield from _IMAGES_OF_DOCKER_HUB
        return
    found = [*_repositories(client)]
    with suppress(MoorageError, ValueError):
        found += _repositories(_client_of(upstream))
    yield from list(dict.fromkeys(found))[:_MOST_TRIED]


def _client_of(upstream: str) -> RegistryClient:
    parts = split_address(upstream)
    tls = parts.scheme == "https"
    host = parts.hostname or ""
    return RegistryClient(host, parts.port or (443 if tls else 80), host, tls)


def _repositories(client: RegistryClient) -> list[str]:
    return _texts(client.request("GET", "/v2/_catalog?n=100"), "repositories")


def _tags(client: RegistryClient, repository: str) -> list[str]:
    return _texts(client.request("GET", f"/v2/{quote(repository)}/tags/list?n=100"), "tags")


def _texts(answer: Answer, key: str) -> list[str]:
    """Return a list of texts in an answer; empty if it has none."""
    listed = _json(answer.body).get(key) if answer.status == 200 else None
    return [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _pull(client: RegistryClient, repository: str, tag: str) -> str:
    """Pull a manifest, for one platform, and its configuration."""
    base = f"/v2/{quote(repository)}"
    manifest = _manifest(client, f"{base}/manifests/{quote(tag)}")
    top = digest_of(manifest)
    below = _digests(_json(manifest).get("manifests"))
    if below:
        manifest = _manifest(client, f"{base}/manifests/{below[0]}")
        _compare(manifest, below[0])
    for digest in _digests([_json(manifest).get("config")]):
        blob = expect(client.request("GET", f"{base}/blobs/{digest}"), 200, 307)
        if blob.status == 200:
            _compare(blob.body, digest)
    return f"{repository}:{tag}, {top[:19]}…"


def _manifest(client: RegistryClient, path: str) -> bytes:
    return expect(client.request("GET", path, headers={"Accept": _MANIFESTS}), 200).body


def _digests(descriptors: object) -> list[str]:
    found: Iterable[object] = descriptors if isinstance(descriptors, list) else []
    digests = [str(each.get("digest")) for each in found if isinstance(each, dict)]
    return [digest for digest in digests if digest.startswith("sha256:")]


def _compare(content: bytes, digest: str) -> None:
    if digest_of(content) != digest:
        raise Bad(f"what was pulled has another digest than {digest[:19]}…")
