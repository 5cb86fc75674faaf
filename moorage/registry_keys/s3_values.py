"""Values of the S3 storage driver that the registry compares with lists of its own."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.answers.model import Answers, S3Storage
from moorage.errors import Problem
from moorage.registry_keys.tree import Version
from moorage.registry_keys.version import registry_version
from moorage.registry_keys.words import DOES_NOT_START, list_words

# The regions that the AWS libraries know: of the image of 2.8.3, of Debian's package in release 12,
# and of 3.x (vendor/github.com/aws/aws-sdk-go/aws/endpoints/defaults.go).
_REGIONS_OF_2_8 = frozenset(
    (
        "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
        "ca-central-1", "cn-north-1", "cn-northwest-1", "eu-central-1", "eu-west-1", "eu-west-2",
        "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-gov-west-1", "us-west-1",
        "us-west-2",
    )
)  # fmt: skip
_REGIONS_OF_PACKAGE = _REGIONS_OF_2_8 | {
    "af-south-1", "ap-east-1", "ap-northeast-3", "ap-southeast-3", "eu-north-1", "eu-south-1",
    "me-central-1", "me-south-1", "us-gov-east-1", "us-iso-east-1", "us-iso-west-1",
    "us-isob-east-1",
}  # fmt: skip
_REGIONS_OF_3 = _REGIONS_OF_PACKAGE | {
    "ap-south-2", "ap-southeast-4", "ca-west-1", "eu-central-2", "eu-isoe-west-1", "eu-south-2",
    "il-central-1",
}  # fmt: skip
_CLASSES_OF_2_8 = ("STANDARD", "REDUCED_REDUNDANCY", "NONE")
_CLASSES_OF_3_0 = (
    *_CLASSES_OF_2_8, "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "OUTPOSTS", "GLACIER_IR",
)  # fmt: skip
_CLASSES: dict[Version, tuple[str, ...]] = {
    "2.8": _CLASSES_OF_2_8,
    "3.0": _CLASSES_OF_3_0,
    "3.1": (*_CLASSES_OF_3_0, "EXPRESS_ONEZONE"),
}
_ACLS = (
    "private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read",
    "bucket-owner-read", "bucket-owner-full-control",
)  # fmt: skip


def check_s3(answers: Answers) -> list[Problem]:
    """Return the problems in storage.s3 that keep the registry from starting."""
    s3 = answers.storage.s3
    if answers.storage.driver != "s3" or s3 is None:
        return []
    found: dict[tuple[str, str], Problem] = {}
    for server in answers.servers:
        there = answers.for_server(server.host)
        version, is_package = registry_version(there), there.registry.runtime == "package"
        for field, message in _faults(s3, version, is_package):
            path = ("storage", "s3", field)
            found.setdefault((field, message), Problem(path, message, code=DOES_NOT_START))
    return list(found.values())


def _faults(s3: S3Storage, version: Version, is_package: bool) -> Iterator[tuple[str, str]]:
    regions = _REGIONS_OF_3
    if version == "2.8":
        regions = _REGIONS_OF_PACKAGE if is_package else _REGIONS_OF_2_8
    if s3.regionendpoint is None and s3.region not in regions:
        yield (
            "region",
            (
                f"is unknown to registry {version}: correct it, or set regionendpoint to "
                f"https://s3.{s3.region}.amazonaws.com"
            ),
        )
    classes = _CLASSES[version]
    if s3.storageclass is not None and s3.storageclass not in classes:
        yield "storageclass", f"must be {list_words(classes, 'or')} for registry {version}"
    if s3.objectacl is not None and s3.objectacl not in _ACLS:
        yield "objectacl", f"must be {list_words(_ACLS, 'or')}"
    if not s3.v4auth and "s3.amazonaws.com" in (s3.regionendpoint or "s3.amazonaws.com"):
        yield "v4auth", "Amazon accepts only version 4: set it to true"
