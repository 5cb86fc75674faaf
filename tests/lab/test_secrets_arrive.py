"""Secrets that look like something else are used by the registry unchanged.

systemd's unquoting, the registry's reading of YAML and its storage driver are the real ones.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from odd_secrets import odd_secrets
from registry_process import CATALOG, answers_to, registry_process
from strict_s3 import strict_s3

from lab import Lab, LabServer
from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.desired.registry import environment_file
from moorage.desired.state import Materials

pytestmark = pytest.mark.ready

FIELDS = [f"REGISTRY_LOG_FIELDS_F{''.join(each)}" for each in itertools.product("ABCDE", repeat=4)]
IN_MEMORY = {"inmemory": {}}


@pytest.fixture(scope="module")
def machine(lab: Lab) -> Iterator[LabServer]:
    """A server with systemd."""
    server = lab.boot("secrets")
    yield server
    lab.destroy(server)


@pytest.fixture(params=["2.8", "3.0", "3.1"])
def program(request: pytest.FixtureRequest) -> Path:
    """The registry as a program that runs on this machine."""
    program: Path = request.getfixturevalue(f"registry_{request.param}")
    return program


def environment_of(
    machine: LabServer, secrets: Mapping[str, str], keys: tuple[str, str] | None = None
) -> dict[str, str]:
    """Return the environment that systemd gives to a unit with Moorage's registry.env."""
    storage: dict[str, Any] = {"driver": "filesystem"}
    resolved = {f"registry.environment.{name}": Secret(value) for name, value in secrets.items()}
    if keys is not None:
        references = {"accesskey": {"env": "A"}, "secretkey": {"env": "B"}}
        storage = {"driver": "s3", "s3": {"bucket": "registry", "region": "x", **references}}
        resolved["storage.s3.accesskey"] = Secret(keys[0])
        resolved["storage.s3.secretkey"] = Secret(keys[1])
    answers = Answers.model_validate(
        {
            "registry": {
                "domain": "registry.example.com",
                "environment": {name: {"env": "X"} for name in secrets},
            },
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            "storage": storage,
        }
    )
    content = environment_file(answers, Materials(Secret("0" * 64), Secret(""), resolved))
    machine.write_file("/root/registry.env", content.decode(), mode=0o600)
    printed = machine.run(
        "systemd-run -q --wait --pipe -p EnvironmentFile=/root/registry.env env -0"
    ).stdout
    variables = dict(each.partition("=")[::2] for each in printed.split("\0") if each)
    return {name: value for name, value in variables.items() if name.startswith("REGISTRY_")}


def registry(
    program: Path, environment: Mapping[str, str], storage: object, folder: Path
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run a registry on a socket in a folder; its log is JSON."""
    config = {
        "version": 0.1,
        "log": {"formatter": "json"},
        "storage": storage,
        "http": {"net": "unix", "addr": str(folder / "socket")},
    }
    return registry_process(program, json.dumps(config), folder, environment)


def log_fields(
    program: Path, environment: Mapping[str, str], names: Sequence[str], folder: Path
) -> list[object]:
    """Return what a registry has in the fields of its log that variables set."""
    keys = [name.rpartition("_")[2].lower() for name in names]
    with registry(program, environment, IN_MEMORY, folder) as process:
        answers_to(process, folder / "socket", CATALOG)
    log = (folder / "log").read_text()
    for line in log.split("\n"):  # the text can have other line breaks
        with suppress(ValueError):
            entry = json.loads(line)
            if keys[0] in entry:
                return [entry.get(key) for key in keys]
    raise AssertionError(log[:2000])


def test_odd_text_is_used_unchanged(machine: LabServer, program: Path, tmp_path: Path) -> None:
    secrets = dict(zip(FIELDS, odd_secrets(500), strict=False))
    environment = environment_of(machine, secrets)
    used: list[object] = []
    names = list(secrets)
    for at in range(0, len(names), 100):
        batch = names[at : at + 100]
        given = {name: environment[name] for name in batch}
        used += log_fields(program, given, batch, tmp_path)
    assert used == list(secrets.values())


def test_a_store_accepts_requests_signed_with_the_keys(
    machine: LabServer, program: Path, tmp_path: Path
) -> None:
    odd = [each for each in odd_secrets(70, control=False) if each == each.strip()]
    keys = dict(zip(odd[:10], odd[20:30], strict=True))
    with strict_s3("127.0.0.1", keys) as store:
        storage = {
            "s3": {
                "bucket": "registry", "region": "us-east-1", "regionendpoint": store.endpoint,
                "secure": False, "forcepathstyle": True,
            }
        }  # fmt: skip
        for number, pair in enumerate(keys.items()):
            folder = tmp_path / str(number)
            environment = environment_of(machine, {}, pair)
            with registry(program, environment, storage, folder) as process:
                answers_to(process, folder / "socket", CATALOG)
    assert store.refused == []
    assert set(store.accepted) == set(keys)
