"""Everything about one image: platforms, layers, history, labels, and what refers to it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moorage.images.alive import digest_it_is_about
from moorage.images.manifests import INDEXES, LARGEST, Descriptor, Manifest
from moorage.images.read import Stored
from moorage.images.tree import Repository
from moorage.images.usage import Usage, closure, missing_blobs

CONFIGS = frozenset({
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
})  # fmt: skip
"""Media types of configurations that describe an image; those of artifacts can be anything."""
MOST_CONFIGS = 100
"""Configurations that are read for one index."""
SHORTEST_DIGEST = 4
"""Hexadecimal digits that a shortened digest has at least."""

_MOST_NAMED = 5
"""Digests that are named when a shortened one is ambiguous."""
_SHOWN = len("sha256:") + 12


class NoSuchImageError(LookupError):
    """There is no such repository, tag or digest."""


@dataclass(frozen=True)
class Layer:
    """A layer of an image, or a file of an artifact.

    Attributes:
        digest: Its digest.
        size: Its bytes, as it is stored.
        media_type: Its media type.
        is_stored: Whether it is stored here.
        is_remote: Whether clients get it from elsewhere, so that it need not be.
        images: The number of manifests that refer to it, this one included.
    """

    digest: str
    size: int
    media_type: str
    is_stored: bool
    is_remote: bool
    images: int


@dataclass(frozen=True)
class Step:
    """A step of an image's history.

    Attributes:
        created: When it was made, as the image says; can be empty or nonsense.
        command: The command that made it.
        comment: A comment.
        layer: The digest of the layer it made; empty if it made none, or if that is not known.
        size: The bytes of that layer.
    """

    created: str
    command: str
    comment: str = ""
    layer: str = ""
    size: int = 0


@dataclass(frozen=True)
class Config:
    """The configuration of an image.

    Attributes:
        created: When the image was made, as it says.
        labels: Its labels, by name.
        environment: Its environment, as NAME=VALUE.
        entrypoint: Its entry point.
        command: Its command.
        user: The user it runs as.
        folder: The folder it runs in.
        ports: The ports it exposes, such as 80/tcp.
        history: Its history, oldest first.
    """

    created: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    environment: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    folder: str = ""
    ports: tuple[str, ...] = ()
    history: tuple[Step, ...] = ()


@dataclass(frozen=True)
class PlatformImage:
    """The image of one platform, an artifact, or an attestation.

    Attributes:
        digest: Its manifest's digest.
        platform: Such as linux/amd64; empty if not known.
        media_type: Its manifest's media type.
        artifact_type: The type of an artifact; empty for an image.
        about: The digest of the manifest it attests; empty for others.
        size: Bytes of everything it consists of that is stored.
        layers: Its layers, lowest first.
        config: Its configuration; None if it has none that describes an image.
        annotations: Its annotations, by name.
        problem: Why its manifest or configuration cannot be read; empty if it can.
    """

    digest: str
    platform: str
    media_type: str
    artifact_type: str = ""
    about: str = ""
    size: int = 0
    layers: tuple[Layer, ...] = ()
    config: Config | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Referrer:
    """A manifest in the same repository that is about an image, such as a signature.

    Attributes:
        digest: Its digest.
        about: The digest of the manifest it is about.
        kind: Its type: that of the artifact, or of its configuration.
        tags: The tags that name it.
        size: Bytes of everything it consists of that is stored.
        by: subject, or tag if only its tag says what it is about.
    """

    digest: str
    about: str
    kind: str
    tags: tuple[str, ...]
    size: int
    by: str


@dataclass(frozen=True)
class Earlier:
    """A manifest that a tag named before.

    Attributes:
        digest: Its digest.
        pushed: When it was last pushed under the tag, in seconds since 1970.
        is_stored: Whether the repository still has it.
    """

    digest: str
    pushed: float
    is_stored: bool


@dataclass(frozen=True)
class ImageDetails:
    """An image with all its parts.

    Attributes:
        repository: Its repository.
        tag: The tag by which it was asked for; empty for a digest.
        digest: Its digest.
        media_type: Its media type; empty if not known.
        tags: All tags of the repository that name it.
        size: Bytes of everything it refers to that is stored.
        own_size: Bytes that only this image refers to; None if no tag names it.
        pushed: When the tag, or the manifest, was last pushed, in seconds since 1970; None if not
            known.
        images: Its platforms, artifacts and attestations; one entry for a single image.
        referrers: The manifests that are about it.
        earlier: What the tag named before, latest first.
        annotations: The annotations of an index, by name.
        missing: The digests it refers to that are not stored, so that a pull fails.
        problem: Why its manifest cannot be read; empty if it can.
    """

    repository: str
    tag: str
    digest: str
    media_type: str
    tags: tuple[str, ...]
    size: int
    own_size: int | None
    pushed: float | None
    images: tuple[PlatformImage, ...]
    referrers: tuple[Referrer, ...]
    earlier: tuple[Earlier, ...]
    annotations: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    problem: str = ""


def find_digest(stored: Stored, repository: str, reference: str) -> str:
    """Return the digest that a tag or a digest names in a repository.

    Args:
        stored: The content of the registry's storage.
        repository: The repository's name.
        reference: A tag, a digest, or the first digits of one.

    Raises:
        NoSuchImageError: There is no such image, or several digests begin like this.
    """
    links = stored.tree.repositories.get(repository)
    if links is None:
        raise NoSuchImageError(f"There is no repository {repository}.")
    if tag := links.tags.get(reference):
        if not tag.digest:
            raise NoSuchImageError(f"The tag {reference} of {repository} has lost its link.")
        return tag.digest
    found = [each for each in _digests(links) if _is_shortened(reference, each)]
    if len(found) > 1:
        them = ", ".join(each[:_SHOWN] for each in sorted(found)[:_MOST_NAMED])
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise NoSuchImageError(
            f"{len(found)} digests in {repository} begin with {reference}: {them}{more}."
        )
    algorithm, colon, digits = reference.partition(":")
    if not found and colon and len(digits) < SHORTEST_DIGEST:
        raise NoSuchImageError(
            f"{reference} is too short: at least {SHORTEST_DIGEST} digits must follow {algorithm}:."
        )
    if not found:
        kind = "manifest" if ":" in reference else "tag"
        raise NoSuchImageError(f"{repository} has no {kind} {reference}.")
    return found[0]


def _digests(links: Repository) -> set[str]:
    return {*links.manifests, *(tag.digest for tag in links.tags.values() if tag.digest)}


def _is_shortened(reference: str, digest: str) -> bool:
    least = len("sha256:") + SHORTEST_DIGEST
    return digest == reference or (len(reference) >= least and digest.startswith(reference))


def configs_of(stored: Stored, digest: str) -> tuple[str, ...]:
    """Return the digests of the configurations to read for :func:`image_details`.

    Args:
        stored: The content of the registry's storage.
        digest: The image's digest.
    """
    found = []
    for _, manifest in _manifests(stored, digest):
        config = manifest.config if manifest is not None else None
        if config is not None and _describes_an_image(config) and _fits(stored, config.digest):
            found.append(config.digest)
    return tuple(dict.fromkeys(found))[:MOST_CONFIGS]


def _describes_an_image(config: Descriptor) -> bool:
    return config.media_type in CONFIGS


def _fits(stored: Stored, digest: str) -> bool:
    file = stored.tree.blobs.get(digest)
    return file is not None and file.size <= LARGEST


def _manifests(stored: Stored, digest: str) -> Iterator[tuple[Descriptor | None, Manifest | None]]:
    """Yield the manifests of an image, those of nested indexes too, with how an index lists them.

    An index is yielded only if it cannot be read.
    """
    waiting: list[tuple[str, Descriptor | None]] = [(digest, None)]
    followed: set[str] = set()
    while waiting:
        each, listed = waiting.pop(0)
        if each in followed:
            continue
        followed.add(each)
        manifest = stored.manifests.get(each)
        if manifest is None or manifest.media_type not in INDEXES:
            yield listed, manifest
        else:
            waiting += [(child.digest, child) for child in manifest.children]


def image_details(
    stored: Stored,
    usage: Usage,
    repository: str,
    reference: str,
    configs: Mapping[str, bytes],
) -> ImageDetails:
    """Return everything about an image.

    Args:
        stored: The content of the registry's storage.
        usage: The sizes of its images.
        repository: The repository's name.
        reference: A tag, a digest, or the first digits of one.
        configs: The content of :func:`configs_of`, by digest.

    Raises:
        NoSuchImageError: There is no such image.
    """
    digest = find_digest(stored, repository, reference)
    links = stored.tree.repositories[repository]
    tag = reference if reference in links.tags else ""
    manifest = stored.manifests.get(digest)
    rows = [each for each in usage.tags(repository) if each.digest == digest]
    shared = _Sharing(stored)
    is_index = manifest is not None and manifest.media_type in INDEXES
    pushed = links.tags[tag].link if tag else links.manifests.get(digest)
    return ImageDetails(
        repository=repository,
        tag=tag,
        digest=digest,
        media_type=manifest.media_type if manifest is not None else "",
        tags=tuple(each.name for each in rows),
        size=shared.size_of(digest),
        own_size=rows[0].own_size if rows else None,
        pushed=pushed.modified if pushed is not None else None,
        images=tuple(
            shared.image(listed, each, digest, configs)
            for listed, each in _manifests(stored, digest)
        ),
        referrers=tuple(_referrers(stored, links, digest, shared)),
        earlier=tuple(_earlier(links, tag)),
        annotations=_pairs(manifest.annotations) if manifest is not None and is_index else (),
        missing=missing_blobs(stored, closure(stored.manifests, digest)),
        problem=stored.unreadable.get(digest, ""),
    )


class _Sharing:
    """Sizes of images, and the number of manifests that refer to each blob."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._images = Counter(
            blob
            for manifest in stored.manifests.values()
            for blob in {part.digest for part in manifest.blobs}
        )

    def image(
        self,
        listed: Descriptor | None,
        manifest: Manifest | None,
        digest: str,
        configs: Mapping[str, bytes],
    ) -> PlatformImage:
        """Return one image of an index, or a single one."""
        platform = listed.platform if listed is not None else ""
        about = listed.about if listed is not None else ""
        if manifest is None:
            digest = listed.digest if listed is not None else digest
            media_type = listed.media_type if listed is not None else ""
            return PlatformImage(
                digest, platform, media_type, about=about, size=self._size({digest}),
                problem=self._stored.unreadable.get(digest) or self._why_not_read(digest),
            )  # fmt: skip
        layers = tuple(map(self._layer, manifest.layers))
        config, problem, built_for = self._config(manifest, layers, configs)
        return PlatformImage(
            manifest.digest,
            "" if about else platform or built_for,
            manifest.media_type,
            _kind_of_artifact(manifest),
            about,
            self.size_of(manifest.digest),
            layers,
            config,
            _pairs(manifest.annotations),
            problem,
        )

    def _why_not_read(self, digest: str) -> str:
        is_stored = digest in self._stored.tree.blobs
        return "it is not a manifest of this repository" if is_stored else "it is not stored"

    def _config(
        self, manifest: Manifest, layers: tuple[Layer, ...], configs: Mapping[str, bytes]
    ) -> tuple[Config | None, str, str]:
        """Return an image's configuration, why it cannot be read, and the platform it names."""
        given = manifest.config
        if given is None or not _describes_an_image(given):
            return None, "", ""
        content = configs.get(given.digest)
        if content is None:
            is_stored = given.digest in self._stored.tree.blobs
            why = "its configuration was not read" if is_stored else "its configuration is missing"
            return None, why, ""
        parsed = _parsed(content)
        if parsed is None:
            return None, "its configuration is not valid JSON", ""
        return _config(parsed, layers), "", _platform(parsed)

    def _layer(self, part: Descriptor) -> Layer:
        file = self._stored.tree.blobs.get(part.digest)
        return Layer(
            part.digest,
            file.size if file is not None else part.size,
            part.media_type,
            file is not None,
            part.is_remote,
            self._images[part.digest],
        )

    def size_of(self, digest: str) -> int:
        """Return the bytes of everything that a manifest refers to."""
        return self._size(closure(self._stored.manifests, digest))

    def _size(self, digests: Iterable[str]) -> int:
        blobs = self._stored.tree.blobs
        return sum(blobs[each].size for each in digests if each in blobs)


def _referrers(
    stored: Stored, links: Repository, digest: str, shared: _Sharing
) -> Iterator[Referrer]:
    """Yield the manifests that are about an image or a part of it, and those about these."""
    by_digest: dict[str, list[str]] = {}
    for name, tag in sorted(links.tags.items()):
        if tag.digest:
            by_digest.setdefault(tag.digest, []).append(name)
    about: dict[str, list[tuple[str, str]]] = {}
    for each in sorted(links.manifests):
        manifest = stored.manifests.get(each)
        if manifest is not None and manifest.subject:
            about.setdefault(manifest.subject, []).append((each, "subject"))
    for name, tag in sorted(links.tags.items()):
        subject = digest_it_is_about(name)
        # An index of referrers is a list for clients of what refers by subject.
        if subject and tag.digest and (tag.digest, "subject") not in about.get(subject, ()):
            about.setdefault(subject, []).append((tag.digest, "tag"))
    waiting, followed = _manifest_digests(stored, digest), set[tuple[str, str]]()
    while waiting:
        subject = waiting.pop(0)
        for found, by in about.get(subject, ()):
            if (found, subject) in followed:
                continue
            followed.add((found, subject))
            waiting.append(found)
            tags = tuple(by_digest.get(found, ()))
            kind = _kind(stored.manifests.get(found))
            yield Referrer(found, subject, kind, tags, shared.size_of(found), by)


def _manifest_digests(stored: Stored, digest: str) -> list[str]:
    found = [digest]
    for each in found:
        manifest = stored.manifests.get(each)
        children = manifest.children if manifest is not None else ()
        found += [child.digest for child in children if child.digest not in found]
    return found


def _kind(manifest: Manifest | None) -> str:
    if manifest is None:
        return ""
    return _kind_of_artifact(manifest) or manifest.media_type


def _kind_of_artifact(manifest: Manifest) -> str:
    if manifest.artifact_type:
        return manifest.artifact_type
    config = manifest.config
    return config.media_type if config is not None and not _describes_an_image(config) else ""


def _earlier(links: Repository, name: str) -> Iterator[Earlier]:
    tag = links.tags.get(name)
    if tag is None:
        return
    for digest, link in sorted(tag.earlier.items(), key=lambda each: -each[1].modified):
        if digest != tag.digest:
            yield Earlier(digest, link.modified, digest in links.manifests)


def _parsed(content: bytes) -> Mapping[str, Any] | None:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _config(parsed: Mapping[str, Any], layers: tuple[Layer, ...]) -> Config:
    run = parsed.get("config")
    run = run if isinstance(run, dict) else {}
    return Config(
        created=_text(parsed.get("created")),
        labels=_pairs(run.get("Labels")),
        environment=_texts(run.get("Env")),
        entrypoint=_texts(run.get("Entrypoint")),
        command=_texts(run.get("Cmd")),
        user=_text(run.get("User")),
        folder=_text(run.get("WorkingDir")),
        ports=tuple(sorted(_names(run.get("ExposedPorts")))),
        history=_history(parsed.get("history"), layers),
    )


def _history(given: object, layers: tuple[Layer, ...]) -> tuple[Step, ...]:
    steps = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    made = [each for each in steps if each.get("empty_layer") is not True]
    # Some tools leave steps out: then it is not known which layer belongs to which.
    upwards = iter(layers if len(made) == len(layers) else ())
    found = []
    for each in steps:
        layer = None if each.get("empty_layer") is True else next(upwards, None)
        found.append(
            Step(
                _text(each.get("created")),
                _text(each.get("created_by")),
                _text(each.get("comment")),
                layer.digest if layer is not None else "",
                layer.size if layer is not None else 0,
            )
        )
    return tuple(found)


def _platform(parsed: Mapping[str, Any]) -> str:
    parts = (_text(parsed.get(key)) for key in ("os", "architecture", "variant"))
    return "/".join(part for part in parts if part)


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _texts(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    return tuple(_text(each) for each in given) if isinstance(given, list) else ()


def _names(given: object) -> Iterator[str]:
    return iter(given if isinstance(given, dict) else ())


def _pairs(given: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, Mapping):
        return ()
    return tuple(sorted((key, value) for key, value in given.items() if isinstance(value, str)))
