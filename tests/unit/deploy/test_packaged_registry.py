"""The service of the registry's package: whose it is, and whether it may run."""

from __future__ import annotations

import json

import pytest

from moorage.deploy.plan.packaged_registry import is_held_back
from moorage.desired import layout
from moorage.servers.facts import Facts, ManagedFile, Service


@pytest.mark.parametrize(
    ("active", "enabled", "is_moorages", "expected"),
    [
        ("inactive", "masked", True, True),
        ("inactive", "masked-runtime", False, True),
        # An update of the package starts it.
        ("inactive", "disabled", True, False),
        ("inactive", "disabled", False, False),
        ("failed", "", False, False),
        # Its owner runs it, or wants it after the next boot.
        ("active", "disabled", False, True),
        ("inactive", "enabled", False, True),
        ("active", "enabled", True, False),
    ],
)
def test_only_the_owners_packaged_registry_keeps_running(
    active: str, enabled: str, is_moorages: bool, expected: bool
) -> None:
    added = {"docker-registry": "2.8.2"} if is_moorages else {}
    record = json.dumps({"added": {"packages": added}}).encode()
    facts = Facts(
        "one",
        packages={"docker-registry": "2.8.2"},
        services={"docker-registry": Service("docker-registry", active, enabled)},
        files={layout.DEPLOYMENT: ManagedFile(layout.DEPLOYMENT, record, 0o600, "root", "root")},
    )
    assert is_held_back(facts) is expected
