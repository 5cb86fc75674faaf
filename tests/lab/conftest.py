"""Fixtures with real servers.

`server` is a fresh bare server: with the mark `ready`, one with the packages installed; with the
mark `deployed`, a copy of one with a registry. `servers` boots several, `shared_server` is one for
all tests of a module, `client` has Docker and Podman and runs for the whole session. Where no
server can run, these tests are skipped, and the summary says so. The same goes for tests with
`registry_3_image`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from boot_servers import BootServers
from command_line import PASSWORD, CommandLine
from deployments import Deployments
from operator_at_work import Operator

from lab import Lab, LabServer
from lab.acme import AcmeAuthority, start_authority
from lab.image import build_registry_3_image, build_registry_image
from lab.keys import ADMIN_PASSWORD
from lab.leaks import LeakWatch
from lab.machine import reason_it_cannot_run
from lab.services import ObjectStore, start_object_store
from lab.snapshots import Snapshot

HERE = Path(__file__).parent
REGISTRY_3 = "MOORAGE_TEST_REGISTRY_3"
"""The path of a statically linked registry 3, which Debian does not package."""
REGISTRY_3_0 = "MOORAGE_TEST_REGISTRY_3_0"
"""The same of release 3.0, whose configuration differs."""
_RELEASES = {REGISTRY_3: "3.1", REGISTRY_3_0: "3.0"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in this folder, and skip those that cannot run here."""
    no_lab = reason_it_cannot_run()
    no_registry_3 = _missing(REGISTRY_3)
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        item.add_marker("lab")
        if no_lab is not None:
            item.add_marker(pytest.mark.skip(reason=f"no lab: {no_lab}"))
        elif no_registry_3 and "registry_3_image" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=no_registry_3))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The session's lab, after the leftovers of other sessions were removed."""
    with Lab() as lab:
        yield lab


def _usual_image(request: pytest.FixtureRequest) -> tuple[str, tuple[str, ...]]:
    """Return the servers' image: bare, or with the packages if marked `ready`.

    Installing packages takes half the time of a first apply, which few tests are about.

    Returns:
        The variant and the additional packages.
    """
    ready = request.node.get_closest_marker("ready")
    return ("bare", ()) if ready is None else ("ready", ready.args)


@pytest.fixture
def servers(lab: Lab, request: pytest.FixtureRequest) -> Iterator[BootServers]:
    """A function that boots fresh servers."""
    usual, usual_extra = _usual_image(request)
    booted: list[LabServer] = []

    def boot(
        count: int = 1,
        *,
        suite: str = "bookworm",
        variant: str = usual,
        extra: Sequence[str] | None = None,
        names: Sequence[str] = (),
        snapshot: Snapshot | None = None,
    ) -> list[LabServer]:
        if extra is None:
            extra = usual_extra if variant == usual and suite == "bookworm" else ()
        names = names or [f"server{number}" for number in range(1, count + 1)]
        fresh = lab.boot_many(names, suite=suite, variant=variant, extra=extra, snapshot=snapshot)
        booted.extend(fresh)
        return fresh

    yield boot
    for server in booted:
        lab.destroy(server)


@pytest.fixture
def server(servers: BootServers, request: pytest.FixtureRequest) -> LabServer:
    """A fresh bare Debian 12 server; a copy of a deployed one if marked `deployed`."""
    deployed = request.node.get_closest_marker("deployed")
    if deployed is None:
        return servers(names=["server"])[0]
    deployments: Deployments = request.getfixturevalue("deployments")
    deployment = deployments.deployment(*deployed.args, **deployed.kwargs)
    [server] = servers(names=["server"], snapshot=deployment.snapshot)
    deployment.hand_over(request.getfixturevalue("operator"), server)
    return server


@pytest.fixture(scope="session")
def deployments(lab: Lab) -> Deployments:
    """Deployed servers to copy."""
    return Deployments(lab)


@pytest.fixture(scope="module")
def shared_server(lab: Lab, request: pytest.FixtureRequest) -> Iterator[LabServer]:
    """One bare Debian 12 server for all tests of a module, which must not change it."""
    variant, extra = _usual_image(request)
    server = lab.boot("shared", variant=variant, extra=extra)
    yield server
    lab.destroy(server)


@pytest.fixture(scope="session")
def client(lab: Lab) -> Iterator[LabServer]:
    """A user's machine with Docker, Podman, skopeo, curl and htpasswd."""
    server = lab.boot("client", variant="client")
    yield server
    lab.destroy(server)


@pytest.fixture(scope="session")
def registry_image(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of docker.io/library/registry:2.8, for `docker load`."""
    assert lab.folder.path.is_dir()
    return build_registry_image(tmp_path_factory.mktemp("image") / "registry.tar")


@pytest.fixture(scope="session")
def registry_3_image(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of docker.io/library/registry:3.1.1, for `docker load`."""
    assert lab.folder.path.is_dir()
    target = tmp_path_factory.mktemp("image") / "registry-3.tar"
    return build_registry_3_image(target, _program_of(REGISTRY_3))


@pytest.fixture(scope="session", name="registry_2.8")
def registry_2_8(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of Debian's registry 2.8."""
    program = tmp_path_factory.mktemp("registry") / "docker-registry"
    server = lab.boot("package", variant="ready")
    shutil.copy(server.root / "usr/bin/docker-registry", program)
    lab.destroy(server)
    return program


@pytest.fixture(scope="session", name="registry_3.0")
def registry_3_0() -> Path:
    """The program of registry 3.0."""
    return _program_of(REGISTRY_3_0)


@pytest.fixture(scope="session", name="registry_3.1")
def registry_3_1() -> Path:
    """The program of registry 3.1."""
    return _program_of(REGISTRY_3)


def _program_of(variable: str) -> Path:
    if reason := _missing(variable):
        pytest.skip(reason)
    return Path(os.environ[variable])


def _missing(variable: str) -> str:
    """Return why tests that need a registry 3 are skipped, or empty."""
    program = os.environ.get(variable)
    if program and shutil.which(program):
        return ""
    is_wrong = f"{program}, which is not a program" if program else "not set"
    return (
        f"no registry 3: {variable} is {is_wrong}. It names the program of registry "
        f"{_RELEASES[variable]}; CONTRIBUTING.md says how to get it."
    )


@pytest.fixture(scope="session")
def s3(lab: Lab) -> Iterator[ObjectStore]:
    """An S3 server with a bucket named `registry`."""
    store = start_object_store(lab)
    yield store
    store.stop()


@pytest.fixture
def leak_check(lab: Lab, servers: BootServers) -> Iterator[LeakWatch]:
    """Fail the test if a secret it registers leaks.

    Depends on `servers`, so that it searches them before they are removed.
    """
    watch = LeakWatch(lambda: lab.servers)
    yield watch
    watch.check()


@pytest.fixture
def operator(leak_check: LeakWatch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Operator:
    """An operator with their own home and state folder."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MOORAGE_STATE", str(home / "state"))
    monkeypatch.setenv("SUDO_PASSWORD", ADMIN_PASSWORD)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    leak_check.add(ADMIN_PASSWORD, label="the sudo password")
    leak_check.watch_path(home)
    return Operator(home, leak_check, monkeypatch)


@pytest.fixture
def authority(lab: Lab, tmp_path: Path) -> Iterator[AcmeAuthority]:
    """An ACME server that the servers can reach."""
    running = start_authority(lab, tmp_path / "authority")
    yield running
    running.stop()


@pytest.fixture
def call(operator: Operator) -> Iterator[CommandLine]:
    """The command line of an operator; the password of ci is watched for."""
    operator.leaks.add(PASSWORD, label="the password of ci")
    line = CommandLine(operator)
    yield line
    for process in line.going_on:
        process.kill()
        process.wait()
