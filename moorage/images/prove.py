"""Read a sample of the images through a new slot, and compare it with what is stored.

A run sends this program, and starts it before a registry with another program gets any requests.
On a disk, the files say what the tags refer to; with other storage, the active slot does. What the
active slot cannot read either was damaged before, and says nothing about the new program. Nothing
is written. It needs only the parts of the standard library that are in python3-minimal.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

REPOSITORIES = 20
"""The most repositories of which images are read."""
TAGS = 2
"""The most tags of each."""
_SECONDS = 40.0
"""After this time, what was read so far has to do."""
_FOUND = 5000
"""The most repositories or tags that are looked at to choose from."""
_TIMEOUT = 15.0
_LARGEST = 8 * 1024**2
_SMALL = 1024**2
"""The largest blob that is read as a whole."""
_NAME = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_STRING = re.compile(r'"([^"\\]+)"')
# Objects in a descriptor, which would hide where it begins.
_NESTED = re.compile(r'"(?:annotations|platform)"\s*:\s*\{[^{}]*\}\s*,?')
_OBJECT = re.compile(r"\{[^{}]*\}")
_OCI, _DOCKER = "application/vnd.oci.image.", "application/vnd.docker.distribution.manifest."
_INDEXES = (f"{_OCI}index.v1+json", f"{_DOCKER}list.v2+json")
_ACCEPT = ", ".join((*_INDEXES, f"{_OCI}manifest.v1+json", f"{_DOCKER}v2+json"))


class Answer(NamedTuple):
    """A registry's answer; status 0 if there was none.

    Attributes:
        status: The HTTP status.
        digest: What Docker-Content-Digest says; may be empty.
        size: What Content-Length says; -1 if unknown.
        kind: The content type.
        body: The content.
    """

    status: int
    digest: str = ""
    size: int = -1
    kind: str = ""
    body: bytes = b""


class Blob(NamedTuple):
    """A part of an image; size -1 if unknown."""

    digest: str
    size: int


class Slot:
    """A registry on a unix socket.

    Args:
        path: The socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def ask(self, method: str, path: str) -> Answer:
        """Send a request.

        Args:
            method: GET or HEAD.
            path: The path below /v2/.
        """
        request = f"{method} /v2/{path} HTTP/1.0\r\nHost: localhost\r\nAccept: {_ACCEPT}\r\n\r\n"
        received = bytearray()
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_TIMEOUT)
                connection.connect(self._path)
                connection.sendall(request.encode())
                while len(received) <= _LARGEST and (data := connection.recv(65536)):
                    received += data
        except OSError:
            return Answer(0)
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        return _answer(head.decode("latin-1"), body)

    def names(self, path: str) -> list[str]:
        """Return the names in a list of the registry; empty if it has none, or does not answer.

        Args:
            path: The path below /v2/.
        """
        answer = self.ask("GET", path)
        if answer.status != 200:
            return []
        _, _, listed = answer.body.decode("utf-8", "replace").partition("[")
        return _STRING.findall(listed)


def _answer(head: str, body: bytes) -> Answer:
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if len(words) < 2 or not words[1].isdigit():
        return Answer(0)
    size = headers.get("content-length", "")
    return Answer(
        int(words[1]),
        headers.get("docker-content-digest", ""),
        int(size) if size.isdigit() else -1,
        headers.get("content-type", "").partition(";")[0],
        body,
    )


class FailedError(Exception):
    """The new slot does not read an image as it is stored."""


class Proof:
    """Reads images through the new slot.

    Attributes:
        repositories: How many repositories were read.
        tags: How many tags.
        blobs: How many configurations and layers.
        damaged: How many answers were wrong from the active slot as well.

    Args:
        new: The new slot.
        old: The active slot.
        root: The folder of the repositories; empty if they are not on a disk.
    """

    def __init__(self, new: Slot, old: Slot, root: str) -> None:
        self._new, self._old, self._root = new, old, root
        # Without files, an active slot that is down knows nothing; manifests still have digests.
        self._reference = new if not root and old.ask("GET", "").status != 200 else old
        self._seen: set[tuple[str, str]] = set()
        self.repositories = self.tags = self.blobs = self.damaged = 0

    def run(self) -> None:
        """Read the sample.

        Raises:
            FailedError: On the first difference.
        """
        until = time.monotonic() + _SECONDS
        for repository in _spread(self._repositories(until - _SECONDS / 2), REPOSITORIES):
            chosen = self._newest(repository)
            for tag in chosen:
                if time.monotonic() > until:
                    return
                self._read_tag(repository, tag)
            self.repositories += bool(chosen)

    def _repositories(self, until: float) -> list[str]:
        if self._root:
            return _repositories_in(self._root, until)
        listed = self._reference.names("_catalog?n=100")
        return [each for each in listed if _NAME.fullmatch(each)]

    def _newest(self, repository: str) -> list[str]:
        if self._root:
            return _newest_tags(self._folder(repository))
        listed = self._reference.names(f"{repository}/tags/list")
        return [each for each in listed if _TAG.fullmatch(each)][-TAGS:]

    def _folder(self, repository: str) -> str:
        return f"{self._root}/{repository}/_manifests/tags"

    def _stored(self, repository: str, tag: str) -> str:
        """Return the digest that a tag refers to; empty if it is gone, or its link is damaged."""
        if not self._root:
            return self._reference.ask("HEAD", f"{repository}/manifests/{tag}").digest
        _, digest = _read_link(f"{self._folder(repository)}/{tag}/current/link")
        return digest

    def _read_tag(self, repository: str, tag: str) -> None:
        path = f"{repository}/manifests/{tag}"
        digest = ""
        # It can be pushed meanwhile.
        while digest != (stored := self._stored(repository, tag)):
            digest = stored
            answer = self._new.ask("HEAD", path)
        if not digest:
            return
        self.tags += 1
        if answer.digest != digest:
            self._differs(f"{repository}:{tag}", "HEAD", path, answer, f"expected {digest}")
            return
        self._read_manifest(repository, digest, f"{repository}:{tag}", is_whole=True)

    def _read_manifest(self, repository: str, digest: str, image: str, *, is_whole: bool) -> None:
        path = f"{repository}/manifests/{digest}"
        answer = self._new.ask("GET", path)
        if answer.status != 200 or not _is(answer.body, digest):
            self._differs(image, "GET", path, answer, f"expected the manifest {digest}")
            return
        parts = _parts(answer.body)
        if answer.kind not in _INDEXES:
            self._read_blobs(repository, parts, image)
        elif is_whole and parts:
            # Clients need one platform's image only, so another may be missing.
            self._read_manifest(repository, parts[0].digest, image, is_whole=False)

    def _read_blobs(self, repository: str, parts: list[Blob], image: str) -> None:
        new = [each for each in parts if (repository, each.digest) not in self._seen]
        self._seen |= {(repository, each.digest) for each in new}
        there = [each for each in new if self._has_blob(repository, each, image)]
        self.blobs += len(there)
        small = min(there, key=lambda each: each.size, default=None)
        if small is not None and 0 <= small.size <= _SMALL:
            path = f"{repository}/blobs/{small.digest}"
            answer = self._new.ask("GET", path)
            if answer.status != 307 and not _is(answer.body, small.digest):
                self._differs(image, "GET", path, answer, f"expected the blob {small.digest}")

    def _has_blob(self, repository: str, blob: Blob, image: str) -> bool:
        path = f"{repository}/blobs/{blob.digest}"
        answer = self._new.ask("HEAD", path)
        # A store can send clients elsewhere.
        is_there = answer.status == 307 or (
            answer.status == 200 and (blob.size == answer.size or -1 in (blob.size, answer.size))
        )
        if not is_there:
            self._differs(image, "HEAD", path, answer, f"expected {blob.size} bytes")
        return is_there

    def _differs(self, image: str, method: str, path: str, answer: Answer, why: str) -> None:
        """Fail, unless the active slot answers the same."""
        old = self._old.ask(method, path)
        if old.status != 0 and (old.status, old.digest, old.size, old.body) == (
            answer.status, answer.digest, answer.size, answer.body
        ):  # fmt: skip
            self.damaged += 1
            return
        got = f"status {answer.status}" if answer.status else "no answer"
        if answer.status == 200:
            got = answer.digest if method == "HEAD" and "/manifests/" in path else "other content"
        raise FailedError(f"{image}\t{method} /v2/{path}: {got}, {why}")


def _is(content: bytes, digest: str) -> bool:
    return f"sha256:{hashlib.sha256(content).hexdigest()}" == digest


def _parts(manifest: bytes) -> list[Blob]:
    """Return what a manifest refers to; there is no module for JSON in python3-minimal."""
    text = _NESTED.sub("", manifest.decode("utf-8", "replace"))
    found = []
    for each in _OBJECT.findall(text):
        digest = re.search(r'"digest"\s*:\s*"(sha256:[0-9a-f]{64})"', each)
        size = re.search(r'"size"\s*:\s*([0-9]{1,18})\b', each)
        # Layers with URLs are elsewhere.
        if digest is not None and '"urls"' not in each:
            found.append(Blob(digest[1], int(size[1]) if size is not None else -1))
    return found


def _repositories_in(root: str, until: float) -> list[str]:
    found: list[str] = []
    waiting = [""]
    while waiting and len(found) < _FOUND and time.monotonic() < until:
        name = waiting.pop()
        for entry in sorted(_entries(f"{root}/{name}"), key=lambda each: each.name):
            if entry.name == "_manifests":
                found.append(name)
            elif entry.name[:1] != "_" and entry.is_dir(follow_symlinks=False):
                waiting.append(f"{name}/{entry.name}" if name else entry.name)
    return [each for each in found if _NAME.fullmatch(each)]


def _newest_tags(folder: str) -> list[str]:
    times = []
    for entry in _entries(folder):
        if _TAG.fullmatch(entry.name):
            time_of, digest = _read_link(f"{folder}/{entry.name}/current/link")
            if digest:
                times.append((time_of, entry.name))
    return [name for _, name in sorted(times)[-TAGS:]]


def _read_link(path: str) -> tuple[float, str]:
    """Return when a link was written, and the digest in it; empty if it is gone or damaged."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return 0.0, ""
    try:
        found = os.read(opened, 200).decode("ascii", "replace").strip()
        return os.fstat(opened).st_mtime, found if _DIGEST.fullmatch(found) else ""
    except OSError:
        return 0.0, ""
    finally:
        os.close(opened)


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(_FOUND), entries):
                yield entry
    except OSError:
        return


def _spread(names: list[str], most: int) -> list[str]:
    """Return some of the names, evenly spread over all of them."""
    names = sorted(names)
    if len(names) <= most:
        return names
    return [names[number * len(names) // most] for number in range(most)]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def main(new: str, old: str, root: str) -> int:
    """Print what was read, or on which image the new slot fails, as ``IMAGE<tab>REASON``.

    Args:
        new: The new slot's socket.
        old: The active slot's socket.
        root: The storage's root folder; ``-`` if the images are not on a disk.

    Returns:
        0 if nothing differs, 3 if something does.
    """
    folder = "" if root == "-" else f"{root}/docker/registry/v2/repositories"
    proof = Proof(Slot(new), Slot(old), folder)
    try:
        proof.run()
    except FailedError as failure:
        print(failure)
        return 3
    if proof.tags == 0:
        print("there are no images yet that the new program could prove itself on")
        return 0
    tags = _count(proof.tags, "tag", "tags")
    repositories = _count(proof.repositories, "repository", "repositories")
    blobs = _count(proof.blobs, "configuration or layer", "configurations and layers")
    print(f"the new program has read {tags} in {repositories}, with {blobs}, as they are stored")
    if proof.damaged:
        print(f"{proof.damaged} of them cannot be read by the active slot either")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
