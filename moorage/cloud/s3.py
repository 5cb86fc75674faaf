"""Whether a bucket can keep a registry's images: tried with what the registry itself will do."""

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
"""Seconds a store may take to answer before it counts as silent."""
DEADLINE = 180.0
"""Seconds for each thing that is tried: time for 5 MiB over a slow line."""
_PART = 5 * 1024**2
"""The least size of a part of an upload, in bytes; all but the last have at least this."""


@dataclass(frozen=True)
class Keys:
    """An access key: its id and its secret part."""

    access: Secret
    secret: Secret


@dataclass(frozen=True)
class Tried:
    """One thing that was tried.

    Attributes:
        name: What, for people.
        status: good, bad, or note for what works but should be known.
        detail: A figure, or why it went wrong and what to do.
    """

    name: str
    status: Literal["good", "bad", "note"]
    detail: str = ""


def try_bucket(
    storage: S3Storage,
    keys: Keys | None,
    tell: Callable[[Tried], object] = lambda tried: None,
    cancel: Cancel | None = None,
) -> tuple[Tried, ...]:
    """List, write, read, upload in parts, and delete in a bucket; stops at the first failure.

    What it writes has a name of its own below the registry's folder and is deleted again.

    Args:
        storage: The bucket and how it is reached.
        keys: The access key; None uses what the AWS tools of this machine would.
        tell: Takes every result as it comes.
        cancel: Ends the test before the next request when set.

    Returns:
        What was tried, in order.

    Raises:
        MoorageError: The test was cancelled.
    """
    results: list[Tried] = []
    bucket = _Bucket(storage, keys)
    for name, attempt in bucket.attempts():
        if cancel is not None and cancel.is_set:
            bucket.clean_up()
            raise MoorageError("The test was stopped.", code="cancelled")
        try:
            with _in_words(storage):
                tried = within(DEADLINE, partial(attempt, name))
        except MoorageError as error:
            tried = Tried(name, "bad", str(error))
        results.append(tried)
        tell(tried)
        if tried.status == "bad":
            bucket.clean_up()
            break
    return tuple(results)


class _Bucket:
    """One test of one bucket."""

    def __init__(self, storage: S3Storage, keys: Keys | None) -> None:
        self._storage = storage
        self._keys = keys
        self._made: Any = None
        root = (storage.rootdirectory or "").strip("/")
        self._prefix = f"{root}/" if root else ""
        self._key = f"{self._prefix}moorage-test-{secrets.token_hex(8)}"
        self._upload: str | None = None

    def attempts(self) -> Iterator[tuple[str, Callable[[str], Tried]]]:
        """Yield what is tried, in order."""
        yield "list", self._list
        yield "write and read", self._write
        yield "upload in parts", self._upload_in_parts
        yield "delete", self._delete
        yield "aborted uploads", self._lifecycle

    @property
    def _client(self) -> Any:
        """The client, made once: that takes a fifth of a second."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> Any:
        import boto3
        from botocore.config import Config

        storage, keys = self._storage, self._keys
        in_path = storage.forcepathstyle
        if in_path is None:
            in_path = storage.regionendpoint is not None
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"total_max_attempts": 1},
            signature_version="s3v4",
            s3={"addressing_style": "path" if in_path else "virtual"},
            # Compatible stores know no newer checksums.
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

    @property
    def _place(self) -> dict[str, str]:
        return {"Bucket": self._storage.bucket, "Key": self._key}

    def _list(self, name: str) -> Tried:
        began = time.monotonic()
        found = self._client.list_objects_v2(
            Bucket=self._storage.bucket, Prefix=self._prefix, MaxKeys=10
        )
        milliseconds = 1000 * (time.monotonic() - began)
        things = "empty" if not found.get("KeyCount") else "holds objects already"
        return Tried(name, "good", f"{things}, answers in {milliseconds:.0f} ms")

    def _write(self, name: str) -> Tried:
        options: dict[str, str] = {}
        if self._storage.encrypt:
            options["ServerSideEncryption"] = "aws:kms" if self._storage.keyid else "AES256"
            if self._storage.keyid:
                options["SSEKMSKeyId"] = self._storage.keyid
        content = secrets.token_bytes(1024)
        self._client.put_object(**self._place, Body=content, **options)
        if self._client.get_object(**self._place)["Body"].read() != content:
            raise MoorageError("What was read is not what was written.")
        return Tried(name, "good", "1 KiB, the same when read back")

    def _upload_in_parts(self, name: str) -> Tried:
        client, began = self._client, time.monotonic()
        self._upload = client.create_multipart_upload(**self._place)["UploadId"]
        parts = []
        for number, size in enumerate((_PART, 1024), start=1):
            part = client.upload_part(
                **self._place, UploadId=self._upload, PartNumber=number, Body=bytes(size)
            )
            parts.append({"ETag": part["ETag"], "PartNumber": number})
        client.list_multipart_uploads(Bucket=self._storage.bucket, Prefix=self._key)
        client.complete_multipart_upload(
            **self._place, UploadId=self._upload, MultipartUpload={"Parts": parts}
        )
        self._upload = None
        rate = (_PART + 1024) / (time.monotonic() - began) / 1024**2
        return Tried(name, "good", f"5 MiB in 2 parts, {rate:.1f} MiB/s from here")

    def _delete(self, name: str) -> Tried:
        self._client.delete_object(**self._place)
        left = self._client.list_objects_v2(Bucket=self._storage.bucket, Prefix=self._key)
        if left.get("KeyCount"):
            raise MoorageError("What was deleted is still listed.")
        return Tried(name, "good", "nothing is left of this test")

    def _lifecycle(self, name: str) -> Tried:
        """Aborted uploads are paid for until somebody deletes them."""
        from botocore.exceptions import ClientError

        try:
            found = self._client.get_bucket_lifecycle_configuration(Bucket=self._storage.bucket)
        except ClientError:
            found = {}  # none, or not for this key to know
        for rule in found.get("Rules", ()):
            if rule.get("Status") == "Enabled" and "AbortIncompleteMultipartUpload" in rule:
                return Tried(name, "good", "a lifecycle rule removes them")
        return Tried(name, "note", "no lifecycle rule removes them, as far as this key may see")

    def clean_up(self) -> None:
        """Take away what a test that failed left behind, as far as that goes."""
        from botocore.exceptions import BotoCoreError, ClientError

        if self._made is None:
            return

        def work() -> None:
            if self._upload is not None:
                self._client.abort_multipart_upload(**self._place, UploadId=self._upload)
            self._client.delete_object(**self._place)

        try:
            within(READ_TIMEOUT, work)
        except (BotoCoreError, ClientError, TimeoutError):
            return  # what keeps the test from working keeps this from working


_REASONS = {
    "NoSuchBucket": ("There is no bucket {bucket}.", "Create it first, or check its name."),
    "AccessDenied": ("The key may not do this.", "Give it the policy that the wizard shows."),
    "InvalidAccessKeyId": ("The store does not know the access key.", "Check the access key."),
    "SignatureDoesNotMatch": ("The secret key does not fit the access key.", "Check both keys."),
    "PermanentRedirect": ("The bucket is in another region.", "Check the region."),
    "AuthorizationHeaderMalformed": ("The bucket is in another region.", "Check the region."),
    "IllegalLocationConstraintException": ("The bucket is in another region.", "Check the region."),
    "RequestTimeTooSkewed": ("This machine's clock is wrong.", "Set the clock."),
    "301": ("The bucket is in another region.", "Check the region."),
    "403": ("The key may not do this.", "Give it the policy that the wizard shows."),
    "404": ("There is no bucket {bucket}.", "Create it first, or check its name."),
}


@contextmanager
def _in_words(storage: S3Storage) -> Iterator[None]:
    """Turn what boto3 raises into words."""
    from botocore import exceptions

    where = storage.regionendpoint or f"S3 in {storage.region}"
    try:
        yield
    except exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        reason, hint = _REASONS.get(code, (f"The store answers {code}.", ""))
        raise MoorageError(
            reason.format(bucket=storage.bucket), hint=hint, code="storage_refused"
        ) from error
    except exceptions.NoCredentialsError as error:
        raise MoorageError(
            "No keys are given, and this machine has none of its own.",
            hint="With a role on the server that is fine; it cannot be tried from here.",
            code="storage_no_keys",
        ) from error
    except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
        raise MoorageError(
            f"{where} does not answer.", hint="Check the endpoint.", code="storage_silent"
        ) from error
    except TimeoutError as error:
        raise MoorageError(
            f"{where} answers too slowly: not within {DEADLINE:g} s.",
            hint="Check the endpoint, and this machine's line.",
            code="storage_slow",
        ) from error
    except exceptions.SSLError as error:
        raise MoorageError(
            f"The certificate of {where} is not trusted.", code="storage_certificate"
        ) from error
    except exceptions.BotoCoreError as error:
        raise MoorageError(
            f"{where} cannot be reached.", hint="Check the endpoint.", code="storage_unreachable"
        ) from error


def least_policy(storage: S3Storage) -> str:
    """Return the least IAM policy that lets a registry keep its images, as JSON.

    Source: the S3 storage driver's page in the documentation of CNCF Distribution.
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
    """Return a lifecycle configuration that removes uploads nobody ended, as JSON."""
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
