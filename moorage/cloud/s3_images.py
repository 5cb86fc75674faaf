"""Read a registry's images from a bucket: one listing, then the manifests that are not known.

Only listings and reads; nothing in the bucket is changed. The registry's catalog is not used: some
versions leave names out of it on S3 (https://github.com/distribution/distribution/issues/4898).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from moorage.cloud.s3 import Keys, explained, open_client
from moorage.errors import MoorageError
from moorage.images.manifests import LARGEST, TOO_LARGE, Manifest
from moorage.images.read import SHA256, Stored, assemble, read_manifest
from moorage.images.sweep import V2
from moorage.images.tree import File, Tree, TreeBuilder, has_to_be_read

if TYPE_CHECKING:
    from moorage.answers.model import S3Storage
    from moorage.servers.transport import Cancel

ATTEMPTS = 5
"""How often each request is sent: stores slow down clients that send many."""
PAGE = 1000
"""Objects in a page of a listing: the most that S3 returns."""
READERS = 16
"""Objects that are read at once."""
_LINK_LENGTH = len("sha256:") + 64

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


class Bucket:
    """A bucket with a registry's images.

    Args:
        storage: The bucket and how to reach it.
        keys: The access key; None uses this machine's AWS credentials.
        cancel: Stops reading before the next request when set.

    Attributes:
        storage: The bucket and how to reach it.
        root: The prefix of the registry's root folder.
        paths: The paths below `docker/registry/v2`, as listed last.
        listed_at: When that listing began, by the store's clock, in seconds since 1970.
    """

    def __init__(self, storage: S3Storage, keys: Keys | None, cancel: Cancel | None = None) -> None:
        self.storage = storage
        self._keys = keys
        self._cancel = cancel
        self._opened: Any = None
        self._lock = threading.Lock()
        root = (storage.rootdirectory or "").strip("/")
        self.root = f"{root}/" if root else ""
        self.paths: tuple[str, ...] = ()
        self.listed_at = 0.0
        self._prefix = f"{self.root}{V2}/"

    def read(self, known: Mapping[str, Manifest]) -> Stored:
        """Return everything the registry stores.

        Args:
            known: Manifests that were read earlier, by digest.

        Raises:
            MoorageError: Not everything could be read, or reading was cancelled.
        """
        with explained(self.storage):
            files, checksums = self._list()
            builder = TreeBuilder()
            for path, file in files.items():
                builder.add(path, file)
            builder.add_links(self._links(builder.tree, files, checksums))
            return assemble(builder.tree, self._manifests(builder.tree, known), known)

    def blobs(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Return the content of blobs, without those that are missing or not their digest's.

        Args:
            digests: Their digests.

        Raises:
            MoorageError: They could not be read, or reading was cancelled.
        """
        with explained(self.storage):
            found = dict(self._read_all(digests, _data_path))
        return {
            digest: content
            for digest, content in found.items()
            if f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
        }

    @property
    def client(self) -> Any:
        """The client, opened with the first request."""
        with self._lock:
            if self._opened is None:
                self._opened = open_client(
                    self.storage, self._keys, attempts=ATTEMPTS, connections=READERS
                )
            return self._opened

    def _list(self) -> tuple[dict[str, File], dict[str, str]]:
        """Return all files by path, and the checksums of the links that have to be read."""
        files: dict[str, File] = {}
        checksums: dict[str, str] = {}
        token: dict[str, str] = {}
        while True:
            self._check_cancelled()
            page = self.client.list_objects_v2(
                Bucket=self.storage.bucket, Prefix=self._prefix, MaxKeys=PAGE, **token
            )
            if not token:
                self.listed_at = answered_at(page)
            for each in page.get("Contents", ()):
                path = each["Key"][len(self._prefix) :]
                at = each["LastModified"].timestamp()
                files[path] = File(at, at, each["Size"])
                if has_to_be_read(path):
                    checksums[path] = each.get("ETag", "").strip('"')
            if not page.get("IsTruncated"):
                self.paths = tuple(files)
                return files, checksums
            following = page.get("NextContinuationToken")
            if not following or {"ContinuationToken": following} == token:
                raise MoorageError("The store's listing is cut off.", code="storage_refused")
            token = {"ContinuationToken": following}

    def _links(
        self, tree: Tree, files: Mapping[str, File], checksums: Mapping[str, str]
    ) -> dict[str, str]:
        """Return what the links name, by path, reading those whose checksum does not tell.

        A small object's checksum is usually the MD5 of its content, and a tag's folder has the
        digests of all manifests that it has named.
        """
        found: dict[str, str] = {}
        for path, checksum in checksums.items():
            folders, _, rest = path.removeprefix("repositories/").partition("/_manifests/tags/")
            repository = tree.repositories.get(folders)
            tag = repository.tags.get(rest.partition("/")[0]) if repository is not None else None
            if tag is not None and (digest := _matching(checksum, tag.earlier)):
                found[path] = digest
        unknown = [
            path for path in checksums if path not in found and files[path].size == _LINK_LENGTH
        ]
        for path, content in self._read_all(unknown, str):
            text = content.decode("ascii", "replace")
            if SHA256.fullmatch(text):
                found[path] = text
        return found

    def _manifests(
        self, tree: Tree, known: Mapping[str, Manifest]
    ) -> Iterator[tuple[str, Manifest | str]]:
        """Yield the manifests that are not known, or why they cannot be read, by digest."""
        unread = [
            digest
            for digest in tree.manifests()
            if digest in tree.blobs
            and (digest not in known or known[digest].size != tree.blobs[digest].size)
        ]
        large = {digest for digest in unread if tree.blobs[digest].size > LARGEST}
        yield from ((digest, TOO_LARGE) for digest in large)
        for digest, content in self._read_all(set(unread) - large, _data_path):
            yield read_manifest(digest, content)

    def _read_all(
        self, items: Iterable[_Item], path_of: Callable[[_Item], str]
    ) -> Iterator[tuple[_Item, bytes]]:
        """Yield the content of objects, without those that do not exist."""
        client = self.client

        def read(item: _Item) -> tuple[_Item, bytes | None]:
            self._check_cancelled()
            return item, self._content(client, path_of(item))

        pool = ThreadPoolExecutor(READERS)
        try:
            for item, content in pool.map(read, items):
                if content is not None:
                    yield item, content
        finally:
            pool.shutdown(cancel_futures=True)

    def _content(self, client: Any, path: str) -> bytes | None:
        from botocore.exceptions import ClientError

        try:
            answer = client.get_object(Bucket=self.storage.bucket, Key=self._prefix + path)
            return bytes(answer["Body"].read(LARGEST + 1))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                return None
            raise

    def _check_cancelled(self) -> None:
        if self._cancel is not None and self._cancel.is_set:
            raise MoorageError("Reading the bucket was stopped.", code="cancelled")


def answered_at(answer: Mapping[str, Any]) -> float:
    """Return when the store answered, by its clock, in seconds since 1970.

    Args:
        answer: boto3's answer to a request.
    """
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()


def _data_path(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return f"blobs/{algorithm}/{value[:2]}/{value}/data"


def _matching(checksum: str, digests: Iterable[str]) -> str:
    """Return the digest whose link has a checksum; empty if none has."""
    for digest in digests:
        if hashlib.md5(digest.encode(), usedforsecurity=False).hexdigest() == checksum:
            return digest
    return ""
