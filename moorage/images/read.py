"""Read what a registry stores from the output of `images.sh`."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from moorage.images.manifests import Manifest, UnreadableManifestError, parse_manifest
from moorage.images.tree import Tree, read_tree

LARGEST_OUTPUT = 1024**3
"""Bytes of the output of a script, decompressed: a registry with millions of files."""
_BLOCK = 512
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass
class Stored:
    """The content of a registry's storage.

    Attributes:
        tree: All files.
        manifests: The manifests that could be read, by digest.
        unreadable: Why the others could not, by digest.
    """

    tree: Tree = field(default_factory=Tree)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def read_stored(output: bytes, known: Mapping[str, Manifest]) -> Stored:
    """Return what a registry stores.

    Args:
        output: The whole output of `images.sh`.
        known: Manifests that were read earlier, by digest; the script was told so.

    Raises:
        ValueError: The output was cut or is none, so nothing is known.
    """
    listing, links, archive = _streams(output, 3)
    contents = ((_digest(path), content) for path, content in _members(archive))
    return assemble(read_tree(listing, _links(links)), contents, known)


def assemble(
    tree: Tree, contents: Iterable[tuple[str, bytes]], known: Mapping[str, Manifest]
) -> Stored:
    """Return what a registry stores, from its files and the content of its manifests.

    Args:
        tree: All files.
        contents: The digest and the content of the manifests that are not known.
        known: Manifests that were read earlier, by digest.
    """
    stored, expected = Stored(tree), tree.manifests()
    for digest in expected:
        manifest, file = known.get(digest), tree.blobs.get(digest)
        if manifest is not None and file is not None and file.size == manifest.size:
            stored.manifests[digest] = manifest
    for digest, content in contents:
        try:
            stored.manifests[digest] = parse_manifest(digest, content)
        except UnreadableManifestError as error:
            stored.unreadable[digest] = str(error)
    for digest in expected - stored.manifests.keys() - stored.unreadable.keys():
        stored.unreadable[digest] = "its content is missing"
    return stored


def read_blobs(output: bytes) -> dict[str, bytes]:
    """Return the content of blobs, by digest, without those that do not match their digest.

    Args:
        output: The whole output of `blobs.sh`.

    Raises:
        ValueError: The output was cut or is none.
    """
    [archive] = _streams(output, 1)
    return {
        digest: content
        for path, content in _members(archive)
        if f"sha256:{hashlib.sha256(content).hexdigest()}" == (digest := _digest(path))
    }


def _digest(path: str) -> str:
    return f"sha256:{path.split('/')[3]}"


def _streams(output: bytes, count: int) -> list[bytes]:
    """Return what several gzip streams, one after the other, were made of."""
    found, left = [], LARGEST_OUTPUT
    while output:
        stream = zlib.decompressobj(wbits=31)
        found.append(stream.decompress(output, left))
        left -= len(found[-1])
        if stream.unconsumed_tail or not left:
            raise ValueError(f"the server sent more than {LARGEST_OUTPUT // 1024**2} MiB")
        if not stream.eof:
            raise ValueError("the output was cut")
        output = stream.unused_data
    if len(found) != count:
        raise ValueError("the output was cut")
    return found


def _links(lines: bytes) -> dict[str, str]:
    """Return the digest in each link that has one, by path."""
    found = {}
    for line in lines.decode("utf-8", "surrogateescape").split("\n"):
        path, _, content = line.removeprefix("./").partition(":")
        if SHA256.fullmatch(content):
            found[path] = content
    return found


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a ustar archive: path and content. Much faster than tarfile."""
    at = 0
    while archive[at : at + 1] not in {b"\0", b""}:
        header = archive[at : at + _BLOCK]
        path = header[:100].rstrip(b"\0").decode("ascii")
        size = int(header[124:136].rstrip(b"\0 "), 8)
        if size < 0:
            raise ValueError("the archive is damaged")
        at += _BLOCK
        yield path, archive[at : at + size]
        at += -(-size // _BLOCK) * _BLOCK
