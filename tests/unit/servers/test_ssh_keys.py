"""Private keys from files, as ssh-keygen writes them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect
from moorage.servers.ssh.keys import Agent, KeyFile, PassphraseWrongError, PublicKey, candidates

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="makes the keys")


def make(path: Path, kind: str = "ed25519", passphrase: str = "", *options: str) -> PublicKey:
    quick = ["-a", "2", *(["-b", "2048"] if kind == "rsa" else [])]  # rounds, and bits
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path), *quick, *options]
    subprocess.run(command, check=True)
    public = PublicKey.parse(Path(f"{path}.pub").read_text())
    assert public is not None
    return public


@pytest.mark.parametrize("form", [[], ["-m", "PEM"], ["-m", "PKCS8"]], ids=str)
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_key_type_and_format_opens_with_its_passphrase(
    tmp_path: Path, kind: str, form: list[str]
) -> None:
    public = make(tmp_path / "key", kind, "right one", *form)
    file = KeyFile(tmp_path / "key")
    assert file.is_locked
    assert file.public == public
    with pytest.raises(PassphraseWrongError):
        file.unlock(lambda _: Secret("wrong one"))
    assert not file.unlock(lambda _: None)
    assert file.unlock(lambda _: Secret("right one"))
    assert not file.is_locked


def test_an_opened_key_does_not_prompt_again(tmp_path: Path) -> None:
    make(tmp_path / "key", passphrase="once")
    assert KeyFile(tmp_path / "key").unlock(lambda _: Secret("once"))
    assert not KeyFile(tmp_path / "key").is_locked


def test_a_wrong_passphrase_is_prompted_for_again(tmp_path: Path) -> None:
    make(tmp_path / "key", passphrase="third time lucky")
    answers = iter(map(Secret, ("first", "second", "third time lucky")))
    rejected: list[Secret | None] = []

    def ask(last: Secret | None) -> Secret:
        rejected.append(last)
        return next(answers)

    assert KeyFile(tmp_path / "key").unlock(ask)
    assert rejected == [None, Secret("first"), Secret("second")]


def none() -> Agent:
    return Agent("none")


@pytest.mark.parametrize("content", [None, "nothing of the kind", "-----BEGIN OPENSSH PRIVATE KEY"])
def test_an_unusable_identity_file_is_an_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CannotConnect) as caught:
        candidates(path, [], only=False, folder=tmp_path, agent=none())
    assert caught.value.code == "key_unreadable"
    assert str(path) in caught.value.message


def test_a_public_key_in_place_of_a_private_one_is_explained(tmp_path: Path) -> None:
    make(tmp_path / "key")
    with pytest.raises(CannotConnect, match="public key"):
        candidates(tmp_path / "key.pub", [], only=False, folder=tmp_path, agent=none())


def test_a_given_key_is_the_only_one_offered(tmp_path: Path) -> None:
    for name in ("named", "id_rsa", "configured"):
        make(tmp_path / name)
    keys, notes = candidates(
        tmp_path / "named", [tmp_path / "configured"], only=False, folder=tmp_path, agent=none()
    )
    assert [key.name for key in keys] == [str(tmp_path / "named")]
    assert notes == []


def test_the_usual_files_are_tried_when_none_are_configured(tmp_path: Path) -> None:
    for name in ("id_rsa", "id_ed25519"):
        make(tmp_path / name)
    keys, notes = candidates(None, [], only=False, folder=tmp_path, agent=none())
    assert [Path(key.name).name for key in keys] == ["id_ed25519", "id_rsa"]
    assert notes == []


def test_unusable_configured_keys_are_noted(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("bad")
    paths = [tmp_path / "bad", tmp_path / "missing"]
    keys, notes = candidates(None, paths, only=False, folder=tmp_path, agent=none())
    assert keys == []
    assert [note.partition(" ")[0] for note in notes] == [str(path) for path in paths]


def test_a_certificate_is_offered_before_its_key(tmp_path: Path) -> None:
    make(tmp_path / "authority")
    public = make(tmp_path / "key")
    command = ["ssh-keygen", "-q", "-s", str(tmp_path / "authority"), "-I", "x", "-n", "root"]
    subprocess.run([*command, str(tmp_path / "key.pub")], check=True)
    certificate, plain = KeyFile(tmp_path / "key").offers
    assert certificate.kind == "ssh-ed25519-cert-v01@openssh.com"
    assert plain == public


def test_paramiko_is_not_loaded_before_a_connection_is_made() -> None:
    program = "import sys, moorage.servers.connect; print('paramiko' in sys.modules)"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"False\n"
