"""A registry that is read-only, or a pull-through cache, is verified as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from operator_at_work import Operator
from small_registry import push, running

from lab import Lab, LabServer
from moorage.deploy.verify.check_results import Bad, Skipped
from moorage.deploy.verify.pulls import pull_stored, pull_through, push_refused
from moorage.deploy.verify.registry_client import RegistryClient

pytestmark = pytest.mark.ready


@pytest.fixture
def upstream(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RegistryClient]:
    """A registry on this machine with one image for two platforms, which servers can reach."""
    program: Path = request.getfixturevalue("registry_2.8")
    with running(program, lab.gateway, tmp_path / "upstream") as client:
        push(client, "team/app", "1")
        yield client


@pytest.mark.parametrize("version", ["2.8", "3.0", "3.1"])
def test_a_cache_and_a_read_only_registry_pass_their_checks(
    version: str, upstream: RegistryClient, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    program: Path = request.getfixturevalue(f"registry_{version}")
    address = f"http://{upstream.address}:{upstream.port}"
    settings = {"proxy": {"remoteurl": address}}
    with running(program, "127.0.0.1", tmp_path / "cache", **settings) as cache:
        assert push_refused(cache, "moorage-verify").startswith("405")
        assert pull_through(cache, address).startswith("team/app:1, sha256:")

    read_only = {"maintenance": {"readonly": {"enabled": True}}}
    with running(program, "127.0.0.1", tmp_path / "images") as registry:
        push(registry, "team/app", "1")
        with pytest.raises(Bad):
            push_refused(registry, "moorage-verify")
    with running(program, "127.0.0.1", tmp_path / "images", storage=read_only) as registry:
        assert push_refused(registry, "moorage-verify").startswith("405")
        assert pull_stored(registry).startswith("team/app:1, sha256:")
    no_images = running(program, "127.0.0.1", tmp_path / "empty", storage=read_only)
    with no_images as registry, pytest.raises(Skipped):
        pull_stored(registry)


def test_a_server_becomes_a_cache_and_then_read_only(
    operator: Operator,
    server: LabServer,
    upstream: RegistryClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A password that every apply can check with, not only the one that generates it.
    monkeypatch.setenv("CI_PASSWORD", operator.passwords.setdefault("ci", "harbour-bell-77"))
    credentials = {"users": [{"name": "ci", "password": {"env": "CI_PASSWORD"}}]}
    address = f"http://{upstream.address}:{upstream.port}"
    domain = operator.answers([server]).registry.domain

    def checks_with(settings: dict[str, Any]) -> dict[str, str]:
        registry = {"domain": domain, "settings": settings}
        answers = operator.answers([server], registry=registry, credentials=credentials)
        outcome = operator.install(answers, verify=True)
        assert outcome.verification is not None
        return {check.key: check.detail for check in outcome.verification.checks}

    cache = checks_with({"proxy": {"remoteurl": address}})

    assert cache["push_refused"] == "405, as its settings say"
    assert cache["pull_through"].endswith(f"from {upstream.address}:{upstream.port}")
    assert "push" not in cache

    read_only = checks_with({"storage": {"maintenance": {"readonly": {"enabled": True}}}})

    assert read_only["push_refused"] == "405, as its settings say"
    assert read_only["pull_stored"].startswith("team/app:1, sha256:")
