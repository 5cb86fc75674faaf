"""Parse image manifests and indexes, which never change once they are stored.

Formats: https://github.com/opencontainers/image-spec (manifest.md, image-index.md) and
https://distribution.github.io/distribution/spec/manifest-v2-2/.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

LARGEST = 4 * 1024 * 1024
"""Bytes of the largest manifest that the registry accepts."""
TOO_LARGE = "it is larger than 4 MiB"

INDEXES = frozenset({
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
})  # fmt: skip
IMAGES = frozenset({
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
})  # fmt: skip

_ATTESTED = "vnd.docker.reference.digest"
"""Source: BuildKit's docs/attestations/attestation-storage.md."""

_IN_DESCRIPTORS = frozenset({
    "mediaType", "digest", "size", "urls", "platform", "annotations", "artifactType", "data",
})  # fmt: skip
_NAMES = {
    name.casefold(): name
    for name in (
        *_IN_DESCRIPTORS, "schemaVersion", "config", "layers", "manifests", "subject",
    )
}  # fmt: skip
_PLAIN = 3
"""Fields of a descriptor without anything optional."""
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}")


class UnreadableManifestError(ValueError):
    """Its bytes are not those its digest names, or are no manifest of a known kind."""


class Descriptor(NamedTuple):
    """A reference of a manifest to a blob.

    Attributes:
        digest: The blob's digest.
        size: Its bytes.
        media_type: Its media type.
        platform: Such as linux/amd64 or linux/arm/v7; empty where none is given.
        is_remote: Whether clients get it from elsewhere, so that it need not be stored here.
        about: The digest of the manifest that this one attests; empty for others.
    """

    digest: str
    size: int
    media_type: str
    platform: str = ""
    is_remote: bool = False
    about: str = ""


class Manifest(NamedTuple):
    """An image's manifest, or an index of several.

    Attributes:
        digest: Its digest.
        media_type: Its media type.
        size: Its own bytes.
        config: The configuration of an image; None for an index.
        layers: An image's layers, lowest first.
        children: An index's manifests.
        subject: The digest of the manifest that this one is about; empty for none.
        artifact_type: What an artifact says it is; empty for an image.
        annotations: Its annotations.
    """

    digest: str
    media_type: str
    size: int
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: str = ""
    artifact_type: str = ""
    annotations: Mapping[str, str] = MappingProxyType({})

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The configuration and the layers."""
        return self.layers if self.config is None else (self.config, *self.layers)


def parse_manifest(digest: str, content: bytes) -> Manifest:
    """Parse a stored manifest.

    Args:
        digest: The digest under which it is stored.
        content: Its bytes.

    Raises:
        UnreadableManifestError: The bytes have another digest, or it is of an unknown kind. What
            it refers to is not known then.
    """
    if len(content) > LARGEST:
        raise UnreadableManifestError(TOO_LARGE)
    algorithm, _, value = digest.partition(":")
    if algorithm not in {"sha256", "sha512"}:
        raise UnreadableManifestError(f"unknown digest algorithm {algorithm}")
    if hashlib.new(algorithm, content).hexdigest() != value:
        raise UnreadableManifestError("its content does not match its digest")
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableManifestError("it is not JSON") from error
    if isinstance(parsed, dict):
        _check_names(parsed)
    if not isinstance(parsed, dict) or parsed.get("schemaVersion") != 2:
        raise UnreadableManifestError("it is not a manifest of schema version 2")
    kind = parsed.get("mediaType") or _kind_without_media_type(parsed)
    common: dict[str, Any] = {
        "digest": digest,
        "media_type": kind,
        "size": len(content),
        "subject": _subject(parsed),
        "artifact_type": _text(parsed.get("artifactType")),
        "annotations": _annotations(parsed.get("annotations")),
    }
    if kind in INDEXES:
        return Manifest(**common, children=_descriptors(parsed, "manifests"))
    if kind in IMAGES:
        config = _descriptor(parsed.get("config"))
        return Manifest(**common, config=config, layers=_descriptors(parsed, "layers"))
    raise UnreadableManifestError("its media type is unknown")


def _check_names(given: Mapping[str, Any]) -> None:
    """Refuse fields that the registry reads all the same, since it ignores case, as Go does."""
    for name in given:
        if _NAMES.get(name.casefold(), name) != name:
            raise UnreadableManifestError(f"its field {name!r} is spelled in an unknown way")


def _kind_without_media_type(parsed: Mapping[str, Any]) -> str:
    """Return the kind of an OCI manifest, whose media type is optional."""
    if "manifests" in parsed and "layers" not in parsed and "config" not in parsed:
        return "application/vnd.oci.image.index.v1+json"
    if "config" in parsed and "manifests" not in parsed:
        return "application/vnd.oci.image.manifest.v1+json"
    return ""


def _descriptors(parsed: Mapping[str, Any], name: str) -> tuple[Descriptor, ...]:
    listed = parsed.get(name)
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise UnreadableManifestError(f"{name} is not a list")
    return tuple(_descriptor(each) for each in listed)


def _descriptor(given: object) -> Descriptor:
    if not isinstance(given, dict):
        raise UnreadableManifestError("a descriptor is missing")
    if not given.keys() <= _IN_DESCRIPTORS:
        _check_names(given)
    digest, size = given.get("digest"), given.get("size")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise UnreadableManifestError("a descriptor has no digest")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise UnreadableManifestError("a descriptor has no size")
    media_type = _text(given.get("mediaType"))
    if len(given) <= _PLAIN:
        # Most have nothing else, and there are many.
        return Descriptor(digest, size, media_type)
    urls = given.get("urls")
    return Descriptor(
        digest=digest,
        size=size,
        media_type=media_type,
        platform=_platform(given.get("platform")),
        is_remote=isinstance(urls, list) and bool(urls),
        about=_about(given.get("annotations")),
    )


def _subject(parsed: Mapping[str, Any]) -> str:
    return "" if parsed.get("subject") is None else _descriptor(parsed["subject"]).digest


def _about(annotations: object) -> str:
    given = annotations.get(_ATTESTED) if isinstance(annotations, dict) else None
    return given if isinstance(given, str) and _DIGEST.fullmatch(given) else ""


def _platform(given: object) -> str:
    if not isinstance(given, dict):
        return ""
    parts = (_text(given.get(key)) for key in ("os", "architecture", "variant"))
    return "/".join(part for part in parts if part)


def _annotations(given: object) -> dict[str, str]:
    if not isinstance(given, dict):
        return {}
    return {key: value for key, value in given.items() if isinstance(value, str)}


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def below(manifests: Mapping[str, Manifest], digest: str) -> set[str]:
    """Return a manifest's digest and, for an index, those of all its children.

    Args:
        manifests: The parsed manifests, by digest.
        digest: The manifest.
    """
    found: set[str] = set()
    waiting = [digest]
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        found.add(each)
        manifest = manifests.get(each)
        if manifest is not None:
            waiting += [child.digest for child in manifest.children]
    return found
