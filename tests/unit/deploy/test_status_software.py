"""The versions on a server, as rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moorage.deploy.status.software import software_of, software_rows
from moorage.desired import layout
from moorage.rows import Level
from moorage.servers.facts import Candidate, Facts, ManagedFile

DAY = 86400
UPSTREAM = b"server unix:/run/moorage-registry/blue/registry.sock;\n"
PACKAGE = b'MOORAGE_RUNTIME="package"\nMOORAGE_PROGRAM="/x"\nMOORAGE_PACKAGE_VERSION="2.8.2-1"\n'
IMAGE = (
    b'MOORAGE_RUNTIME="docker"\nMOORAGE_IMAGE="sha256:0123456789abcdef"\n'
    b'MOORAGE_IMAGE_NAME="registry:3"\n'
)


def _facts(program: bytes, **candidates: Candidate) -> Facts:
    files = {layout.UPSTREAM: UPSTREAM, layout.program_path("blue"): program}
    return Facts(
        "web1",
        clock=100.0 * DAY,
        packages={"docker-registry": "2.8.2-1", "nginx": "1.22-1"},
        files={
            path: ManagedFile(path, content, 0o644, "root", "root")
            for path, content in files.items()
        },
        candidates={name.replace("_", "-"): each for name, each in candidates.items()},
        lists_at=99.0 * DAY,
    )


def _rows(facts: Facts) -> list[tuple[str, str]]:
    return [(row.key, row.text) for row in software_rows(software_of(facts))]


def test_without_updates_only_the_installed_versions_are_shown() -> None:
    facts = _facts(PACKAGE, docker_registry=Candidate("2.8.2-1"), nginx=Candidate("1.22-1", True))
    expected = [("installed", "docker-registry 2.8.2-1, nginx 1.22-1")]
    assert _rows(facts) == expected
    assert _rows(replace(facts, candidates={}, lists_at=None)) == expected


def test_updates_are_shown_with_what_runs() -> None:
    facts = _facts(PACKAGE, docker_registry=Candidate("2.8.3-1"), nginx=Candidate("1.22-2", True))
    assert _rows(facts)[1:] == [
        ("registry_update", "docker-registry 2.8.3-1 is available (runs 2.8.2-1)"),
        ("nginx_update", "nginx 1.22-2 is available (a security update, 1.22-1 is installed)"),
    ]
    levels = [row.level for row in software_rows(software_of(facts))][1:]
    assert levels == [Level.PENDING, Level.WARNING]
    stale = replace(facts, lists_at=90.0 * DAY)
    assert _rows(stale)[1][1].endswith("(runs 2.8.2-1, apt's lists are 10 days old)")


def test_an_installed_update_that_does_not_run_yet_is_shown() -> None:
    facts = _facts(PACKAGE, docker_registry=Candidate("2.8.3-1"))
    facts = replace(facts, packages={"docker-registry": "2.8.3-1"}, lists_at=1.0)
    assert _rows(facts)[1:] == [
        ("registry_update", "docker-registry 2.8.3-1 is installed (runs 2.8.2-1)")
    ]


def test_a_slot_with_an_image_shows_it_instead_of_the_package() -> None:
    facts = _facts(IMAGE, docker_registry=Candidate("2.8.3-1"))
    assert _rows(facts) == [
        ("image", "registry:3 (sha256:0123456789ab)"),
        ("installed", "nginx 1.22-1"),
    ]


@pytest.mark.parametrize("text", ["2.8.3\x1b[31m", "9" * 10_000, "2.8\n3"])
def test_a_hostile_version_stays_on_one_line(text: str) -> None:
    for _, shown in _rows(_facts(PACKAGE, docker_registry=Candidate(text))):
        assert "\n" not in shown
        assert "\x1b" not in shown
        assert len(shown) < 5_000
