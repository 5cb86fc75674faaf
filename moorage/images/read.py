"""Read what a registry stores from the output of `images.sh`."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from moorage.images.manifests import LARGEST, Manifest, UnreadableManifestError, parse_manifest
from moorage.images.tree import Tree, TreeBuilder

LARGEST_OUTPUT = 1024**3
"""Bytes of the output of a script, decompressed: a registry with millions of files."""
_BLOCK = 512
_LISTINGS, _LINKS, _MANIFESTS = (0, 1), 2, 3
"""Numbers of the streams."""
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
    reader = StoredReader(known)
    reader.feed(output)
    return reader.result()


class StoredReader:
    """Reads the output of `images.sh` while it arrives.

    Args:
        known: Manifests that were read earlier, by digest; the script was told so.
    """

    def __init__(self, known: Mapping[str, Manifest]) -> None:
        self._known = known
        self._streams = Streams(self._take, self._end)
        self._builder = TreeBuilder()
        self._contents: list[tuple[str, Manifest | str]] = []
        self._links: list[bytes] = []
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Read a part of the output.

        Args:
            data: What came after the last part.

        Raises:
            ValueError: It is damaged, or too much.
        """
        self._streams.feed(data)

    def result(self) -> Stored:
        """Return what the registry stores.

        Raises:
            ValueError: The output was cut.
        """
        self._streams.check_complete(4)
        return assemble(self._builder.tree, self._contents, self._known)

    def _take(self, stream: int, data: bytes) -> None:
        if stream == _LINKS:
            self._links.append(data)
            return
        self._rest += data
        if stream in _LISTINGS:
            entries, _, self._rest = self._rest.rpartition(b"\0")
            self._builder.add_listing(entries)
        elif stream == _MANIFESTS:
            self._read_manifests()
        if len(self._rest) > 2 * LARGEST:
            raise ValueError("the output is damaged")

    def _end(self, stream: int) -> None:
        if stream in _LISTINGS and self._rest:
            raise ValueError("the listing was cut")
        if stream == _LINKS:
            self._builder.add_links(_links(b"".join(self._links)))
        if stream == _MANIFESTS and self._rest.strip(b"\0"):
            raise ValueError("the archive is damaged")
        self._rest = b""

    def _read_manifests(self) -> None:
        at = 0
        for path, content, end in _members(self._rest):
            self._contents.append(read_manifest(_digest(path), content))
            at = end
        self._rest = self._rest[at:]


class Streams:
    """Unpacks gzip streams, one after the other, while they arrive.

    Args:
        take: Called with the number of the stream, from 0, and a part of its content.
        end: Called with the number of a stream that has ended.
    """

    def __init__(
        self, take: Callable[[int, bytes], None], end: Callable[[int], None] = lambda stream: None
    ) -> None:
        self._take = take
        self._end = end
        self._number = 0
        self._left = LARGEST_OUTPUT
        self._stream = zlib.decompressobj(wbits=31)
        self._is_in_one = False

    def feed(self, data: bytes) -> None:
        """Unpack more.

        Raises:
            ValueError: It is damaged, or too much.
        """
        while data:
            self._is_in_one = True
            try:
                content = self._stream.decompress(data, self._left)
            except zlib.error as error:
                raise ValueError("the output is damaged") from error
            self._left -= len(content)
            if self._stream.unconsumed_tail or not self._left:
                raise ValueError(f"the server sent more than {LARGEST_OUTPUT // 1024**2} MiB")
            self._take(self._number, content)
            data = self._stream.unused_data
            if self._stream.eof:
                self._end(self._number)
                self._number += 1
                self._stream = zlib.decompressobj(wbits=31)
                self._is_in_one = False

    def check_complete(self, count: int) -> None:
        """Check that all streams have ended.

        Args:
            count: Their number.

        Raises:
            ValueError: They have not.
        """
        if self._is_in_one or self._number != count:
            raise ValueError("the output was cut")


def assemble(
    tree: Tree, contents: Iterable[tuple[str, Manifest | str]], known: Mapping[str, Manifest]
) -> Stored:
    """Return what a registry stores, from its files and the content of its manifests.

    Args:
        tree: All files.
        contents: By digest, the manifests that are not known, or why they cannot be read.
        known: Manifests that were read earlier, by digest.
    """
    stored, expected = Stored(tree), tree.manifests()
    for digest in expected:
        manifest, file = known.get(digest), tree.blobs.get(digest)
        if manifest is not None and file is not None and file.size == manifest.size:
            stored.manifests[digest] = manifest
    for digest, content in contents:
        if isinstance(content, Manifest):
            stored.manifests[digest] = content
        else:
            stored.unreadable[digest] = content
    for manifest in list(stored.manifests.values()):
        if any(not part.digest.startswith("sha256:") for part in manifest.blobs):
            _resolve_aliases(stored, manifest)
    for digest in expected - stored.manifests.keys() - stored.unreadable.keys():
        stored.unreadable[digest] = "its content is missing"
    return stored


def _resolve_aliases(stored: Stored, manifest: Manifest) -> None:
    """Name a manifest's blobs by the digests under which they are stored."""
    aliases = stored.tree.aliases
    parts = [part._replace(digest=aliases.get(part.digest, part.digest)) for part in manifest.blobs]
    if all(part.digest.startswith("sha256:") or part.is_remote for part in parts):
        config = None if manifest.config is None else parts.pop(0)
        stored.manifests[manifest.digest] = manifest._replace(config=config, layers=tuple(parts))
    else:
        del stored.manifests[manifest.digest]
        stored.unreadable[manifest.digest] = "it is not known where one of its layers is stored"


def read_manifest(digest: str, content: bytes) -> tuple[str, Manifest | str]:
    """Return a digest with its manifest, or why it cannot be read.

    Args:
        digest: The digest.
        content: What is stored under it.
    """
    try:
        return digest, parse_manifest(digest, content)
    except UnreadableManifestError as error:
        return digest, str(error)


def read_blobs(output: bytes) -> dict[str, bytes]:
    """Return the content of blobs, by digest, without those that do not match their digest.

    Args:
        output: The whole output of `blobs.sh`.

    Raises:
        ValueError: The output was cut or is none.
    """
    archive: list[bytes] = []
    streams = Streams(lambda stream, data: archive.append(data))
    streams.feed(output)
    streams.check_complete(1)
    return {
        digest: content
        for path, content, _ in _members(b"".join(archive))
        if f"sha256:{hashlib.sha256(content).hexdigest()}" == (digest := _digest(path))
    }


def _digest(path: str) -> str:
    return f"sha256:{path.split('/')[3]}"


def _links(lines: bytes) -> dict[str, str]:
    """Return the digest in each link that has one, by path."""
    found = {}
    for line in lines.decode("utf-8", "surrogateescape").split("\n"):
        path, _, content = line.removeprefix("./").partition(":")
        if SHA256.fullmatch(content):
            found[path] = content
    return found


def _members(archive: bytes) -> Iterator[tuple[str, bytes, int]]:
    """Yield the files of a ustar archive that are whole. Much faster than tarfile.

    Yields:
        The path, the content, and where the next file begins.
    """
    at = 0
    while len(header := archive[at : at + _BLOCK]) == _BLOCK and header[0]:
        path = header[:100].rstrip(b"\0").decode("ascii")
        size = int(header[124:136].rstrip(b"\0 "), 8)
        if size < 0:
            raise ValueError("the archive is damaged")
        begin = at + _BLOCK
        at = begin - (-size // _BLOCK) * _BLOCK
        if at > len(archive):
            return
        yield path, archive[begin : begin + size], at
