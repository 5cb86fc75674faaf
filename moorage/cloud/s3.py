"""Test whether a bucket can store a registry's images, with the requests the registry will make."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from moorage.answers.secrets import Secret
from moorage.errors import MoorageError
from moorage.network import within

if TYPE_CHECKING:
    from moorage.answers.model import S3Storage
    from moorage.servers.transport import Cancel

CONNECT_TIMEOUT, READ_TIMEOUT = 5, 20
"""Seconds to wait for the store before it counts as not responding."""
DEADLINE = 180.0
"""Seconds for each check: enough to send 5 MiB over a slow line."""
_PART = 5 * 1024**2
"""Minimum size of an upload part in bytes; only the last part can be smaller."""


@dataclass(frozen=True)
class Keys:
    """An access key ID and its secret key."""

    access: Secret
    secret: Secret


@dataclass(frozen=True)
class BucketCheck:
    """The result of one check of a bucket.

    Attributes:
        name: The check's name as shown to users.
        status: good, bad, or note for something that works but is worth knowing.
        detail: A figure, or why the check failed and what to do.
    """

    name: str
    status: Literal["good", "bad", "note"]
    detail: str = ""


def try_bucket(
    storage: S3Storage,
    keys: Keys | None,
    on_result: Callable[[BucketCheck], object] = lambda result: None,
    cancel: Cancel | None = None,
) -> tuple[BucketCheck, ...]:
    """List, write, read, upload in parts, and delete in a bucket; stop at the first failure.

    The test writes one object with a unique name below the registry's prefix and deletes it again.

    Args:
        storage: The bucket and how to reach it.
        keys: The access key; None uses this machine's AWS credentials.
        on_result: Called with every result as it comes.
        cancel: Stops the test before the next request when set.

    Returns:
        The results, in order.

    Raises:
        MoorageError: The test was cancelled.
    """
    results: list[BucketCheck] = []
    bucket = _Bucket(storage, keys)
    for name, attempt in bucket.attempts():
        if cancel is not None and cancel.is_set:
            bucket.clean_up()
            raise MoorageError("The test was stopped.", code="cancelled")
        try:
            with explained(storage):
                result = within(DEADLINE, partial(attempt, name))
        except MoorageError as error:
            result = BucketCheck(name, "bad", str(error))
        results.append(result)
        on_result(result)
        if result.status == "bad":
            bucket.clean_up()
            break
    return tuple(results)


def open_client(
    storage: S3Storage, keys: Keys | None, *, attempts: int = 1, connections: int = 10
) -> Any:
    """Return boto3's client for a bucket.

    Args:
        storage: The bucket and how to reach it.
        keys: The access key; None uses this machine's AWS credentials.
        attempts: How often each request is sent before it has failed.
        connections: How many connections are kept open.
    """
    import boto3
    from botocore.config import Config

    is_path_style = storage.forcepathstyle
    if is_path_style is None:
        is_path_style = storage.regionendpoint is not None
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": attempts},
        max_pool_connections=connections,
        signature_version="s3v4",
        s3={"addressing_style": "path" if is_path_style else "virtual"},
        # S3-compatible stores often lack the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client(
        "s3",
        region_name=storage.region,
        endpoint_url=storage.regionendpoint,
        use_ssl=storage.secure,
        verify=not storage.skipverify,
        aws_access_key_id=keys.access.reveal() if keys else None,
        aws_secret_access_key=keys.secret.reveal() if keys else None,
        config=config,
    )


class _Bucket:
    """One test of one bucket."""

    def __init__(self, storage: S3Storage, keys: Keys | None) -> None:
        self._storage = storage
        self._keys = keys
        self._opened: Any = None
        root = (storage.rootdirectory or "").strip("/")
        self._prefix = f"{root}/" if root else ""
        self._key = f"{self._prefix}moorage-test-{secrets.token_hex(8)}"
        self._upload: str | None = None

    def attempts(self) -> Iterator[tuple[str, Callable[[str], BucketCheck]]]:
        """Yield the checks in order."""
        yield "list", self._list
        yield "write and read", self._write
        yield "upload in parts", self._upload_in_parts
        yield "delete", self._delete
        yield "aborted uploads", self._lifecycle

    @property
    def _client(self) -> Any:
        """The client, created once: that takes a fifth of a second."""
        if self._opened is None:
            self._opened = open_client(self._storage, self._keys)
        return self._opened

    @property
    def _object(self) -> dict[str, str]:
        return {"Bucket": self._storage.bucket, "Key": self._key}

    def _list(self, name: str) -> BucketCheck:
        began = time.monotonic()
        listing = self._client.list_objects_v2(
            Bucket=self._storage.bucket, Prefix=self._prefix, MaxKeys=10
        )
        milliseconds = 1000 * (time.monotonic() - began)
        content = "not empty" if listing.get("KeyCount") else "empty"
        return BucketCheck(name, "good", f"{content}, answers in {milliseconds:.0f} ms")

    def _write(self, name: str) -> BucketCheck:
        options: dict[str, str] = {}
        if self._storage.encrypt:
            options["ServerSideEncryption"] = "aws:kms" if self._storage.keyid else "AES256"
            if self._storage.keyid:
                options["SSEKMSKeyId"] = self._storage.keyid
        content = secrets.token_bytes(1024)
        self._client.put_object(**self._object, Body=content, **options)
        if self._client.get_object(**self._object)["Body"].read() != content:
            raise MoorageError("The object read back differs from the one written.")
        return BucketCheck(name, "good", "1 KiB, identical when read back")

    def _upload_in_parts(self, name: str) -> BucketCheck:
        client, began = self._client, time.monotonic()
        self._upload = client.create_multipart_upload(**self._object)["UploadId"]
        parts = []
        for number, size in enumerate((_PART, 1024), start=1):
            part = client.upload_part(
                **self._object, UploadId=self._upload, PartNumber=number, Body=bytes(size)
            )
            parts.append({"ETag": part["ETag"], "PartNumber": number})
        client.list_multipart_uploads(Bucket=self._storage.bucket, Prefix=self._key)
        client.complete_multipart_upload(
            **self._object, UploadId=self._upload, MultipartUpload={"Parts": parts}
        )
        self._upload = None
        rate = (_PART + 1024) / (time.monotonic() - began) / 1024**2
        return BucketCheck(name, "good", f"5 MiB in 2 parts, {rate:.1f} MiB/s from here")

    def _delete(self, name: str) -> BucketCheck:
        self._client.delete_object(**self._object)
        left = self._client.list_objects_v2(Bucket=self._storage.bucket, Prefix=self._key)
        if left.get("KeyCount"):
            raise MoorageError("The deleted object is still listed.")
        return BucketCheck(name, "good", "test object removed")

    def _lifecycle(self, name: str) -> BucketCheck:
        """Look for a rule that removes aborted uploads, which are billed until they are deleted."""
        from botocore.exceptions import ClientError

        try:
            found = self._client.get_bucket_lifecycle_configuration(Bucket=self._storage.bucket)
        except ClientError:
            found = {}  # none, or the key is not allowed to read it
        for rule in found.get("Rules", ()):
            if rule.get("Status") == "Enabled" and "AbortIncompleteMultipartUpload" in rule:
                return BucketCheck(name, "good", "a lifecycle rule removes them")
        return BucketCheck(name, "note", "no lifecycle rule visible to this key removes them")

    def clean_up(self) -> None:
        """Remove what a failed test left behind, if possible."""
        from botocore.exceptions import BotoCoreError, ClientError

        if self._opened is None:
            return

        def work() -> None:
            if self._upload is not None:
                self._client.abort_multipart_upload(**self._object, UploadId=self._upload)
            self._client.delete_object(**self._object)

        try:
            within(READ_TIMEOUT, work)
        except (BotoCoreError, ClientError, TimeoutError):
            return  # the test failed for the same reason


_REASONS = {
    "NoSuchBucket": ("There is no bucket {bucket}.", "Create it first, or check its name."),
    "AccessDenied": ("The key is not allowed to do this.", "Attach the policy the wizard shows."),
    "InvalidAccessKeyId": ("The store does not know the access key.", "Check the access key."),
    "SignatureDoesNotMatch": ("The secret key does not match the access key.", "Check both keys."),
    "PermanentRedirect": ("The bucket is in another region.", "Check the region."),
    "AuthorizationHeaderMalformed": ("The bucket is in another region.", "Check the region."),
    "IllegalLocationConstraintException": ("The bucket is in another region.", "Check the region."),
    "RequestTimeTooSkewed": ("This machine's clock is wrong.", "Set the clock."),
    "301": ("The bucket is in another region.", "Check the region."),
    "403": ("The key is not allowed to do this.", "Attach the policy the wizard shows."),
    "404": ("There is no bucket {bucket}.", "Create it first, or check its name."),
}


@contextmanager
def explained(storage: S3Storage) -> Iterator[None]:
    """Turn boto3's errors into messages the operator can act on."""
    from botocore import exceptions

    where = storage.regionendpoint or f"S3 in {storage.region}"
    try:
        yield
    except exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        reason, advice = _REASONS.get(code, (f"The store answers {code}.", ""))
        raise MoorageError(
            reason.format(bucket=storage.bucket), advice=advice, code="storage_refused"
        ) from error
    except exceptions.NoCredentialsError as error:
        raise MoorageError(
            "No access key is set, and this machine has no AWS credentials.",
            advice="If the server has an IAM role, that is fine, but it cannot be used from here.",
            code="storage_no_keys",
        ) from error
    except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
        raise MoorageError(
            f"{where} does not answer.", advice="Check the endpoint.", code="storage_silent"
        ) from error
    except TimeoutError as error:
        raise MoorageError(
            f"{where} answers too slowly: not within {DEADLINE:g} s.",
            advice="Check the endpoint and this machine's connection.",
            code="storage_slow",
        ) from error
    except exceptions.SSLError as error:
        raise MoorageError(
            f"The certificate of {where} is not trusted.", code="storage_certificate"
        ) from error
    except exceptions.BotoCoreError as error:
        raise MoorageError(
            f"{where} cannot be reached.", advice="Check the endpoint.", code="storage_unreachable"
        ) from error


def least_policy(storage: S3Storage) -> str:
    """Return the minimal IAM policy for a registry that stores images in the bucket, as JSON.

    Source: the S3 storage driver's page in the CNCF Distribution documentation.
    """
    bucket = f"arn:aws:s3:::{storage.bucket}"
    root = (storage.rootdirectory or "").strip("/")
    below = f"{bucket}/{root}/*" if root else f"{bucket}/*"
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": [
                        "s3:ListBucket",
                        "s3:GetBucketLocation",
                        "s3:ListBucketMultipartUploads",
                    ],
                    "Resource": bucket,
                },
                {
                    "Effect": "Allow",
                    "Action": [
                        "s3:PutObject",
                        "s3:GetObject",
                        "s3:DeleteObject",
                        "s3:ListMultipartUploadParts",
                        "s3:AbortMultipartUpload",
                    ],
                    "Resource": below,
                },
            ],
        },
        indent=2,
    )


def lifecycle_rule(storage: S3Storage) -> str:
    """Return a lifecycle configuration that removes unfinished uploads, as JSON."""
    root = (storage.rootdirectory or "").strip("/")
    return json.dumps(
        {
            "Rules": [
                {
                    "ID": "moorage-aborted-uploads",
                    "Status": "Enabled",
                    "Filter": {"Prefix": f"{root}/" if root else ""},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                }
            ]
        },
        indent=2,
    )
