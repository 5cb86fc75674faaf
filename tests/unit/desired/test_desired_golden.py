"""What the examples mean for a server, file by file, against golden files.

Renew them after a wanted change with ``GOLDEN=write pytest tests/unit/desired`` and read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moorage.answers.load import load
from moorage.answers.secrets import Secret
from moorage.answers.ssl import acme_references
from moorage.desired.build import activity_script, desired
from moorage.desired.collect import collect_script, recover_script
from moorage.desired.state import DesiredState, Materials, Platform
from moorage.desired.users import RegistryUser
from moorage.registry_keys import check_registry

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
GOLDEN = Path(__file__).parent / "golden"
SECRET = "secret-of-%s"
_PROGRAMS = {
    activity_script(): "(moorage/images/activity.py)",
    recover_script(): "(moorage/images/boot.py and what it needs)",
    collect_script(): "(moorage/images/schedule.py and what it needs)",
}


def _desired(example: Path) -> DesiredState:
    answers = load(example)
    environment = answers.registry.environment
    is_acme = answers.ssl.mode == "acme"
    materials = Materials(
        http_secret=Secret(SECRET % "http"),
        auth_key=Secret("00ff"),
        secrets={
            path: Secret(SECRET % path)
            for path in (
                "storage.s3.accesskey",
                "storage.s3.secretkey",
                *(f"registry.environment.{name}" for name in environment),
                *(".".join(("ssl", "acme", *parts)) for parts in acme_references(answers.ssl.acme)),
            )
        },
        users=tuple(
            RegistryUser(user.name, f"$2y$12${user.name}", user.access, user.repositories)
            for user in answers.credentials.users
        ),
        certificate=None if is_acme else b"CERTIFICATE\n",
        certificate_key=None if is_acme else Secret("KEY\n"),
        acme_ca=b"CA\n" if is_acme and answers.ssl.acme.ca_file else None,
        hooks={hook.name: (EXAMPLES / hook.script).read_bytes() for hook in answers.hooks},
    )
    first = answers.for_server(answers.servers[0].host)
    peers = (("203.0.113.11", "2001:db8::11"), ("2001:db8::12",)) if is_acme else ()
    return desired(first, materials, Platform("debian", "12", ipv6=True, peers=peers), "blue")


def _text(state: DesiredState) -> str:
    parts = [
        f"slot {state.slot}, version {state.version}, ports {list(state.ports)}",
        *(f"package {package.name}" for package in state.packages),
        *(
            f"folder {each.mode:04o} {each.owner}:{each.group} {each.path}"
            for each in state.folders
        ),
    ]
    for file in state.files:
        parts.append(f"==== {file.mode:04o} {file.owner}:{file.group} {file.path}")
        parts.append(_PROGRAMS.get(file.content) or file.content.decode())
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.stem)
def test_an_example_renders_the_golden_files(example: Path) -> None:
    text = _text(_desired(example))
    golden = GOLDEN / f"{example.stem}.txt"
    if os.environ.get("GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.stem)
def test_the_registrys_settings_in_the_examples_are_known(example: Path) -> None:
    answers = load(example)
    assert check_registry(answers) == []


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.stem)
def test_secrets_are_in_secret_files_only(example: Path) -> None:
    for file in _desired(example).files:
        if not file.secret:
            assert b"secret-of-" not in file.content, file.path
            assert b"$2y$" not in file.content, file.path
        else:
            assert file.mode & 0o007 == 0
