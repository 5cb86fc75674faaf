"""Key files as people have them, compared with ssh-keygen: whether ssh can log in with them."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paramiko import Message

from moorage.answers.secrets import Secret
from moorage.errors import CannotConnect
from moorage.servers.ssh.keys import Agent, candidates, load_key

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")

PASSPHRASE = "harbour-bell"
NO_AGENT = Agent("none")
RSA = ("-t", "rsa", "-b", "2048")  # longer keys take a second
PPK = """PuTTY-User-Key-File-3: ssh-ed25519
Encryption: none
Comment: ana
Public-Lines: 2
AAAAC3NzaC1lZDI1NTE5AAAAI
Private-Lines: 1
AAAA
Private-MAC: 00
"""


def _generated(*options: str, passphrase: str = "") -> Callable[[Path], None]:
    """Return a function that lets ssh-keygen write a key file."""

    def write(path: Path) -> None:
        words = [
            "ssh-keygen",
            "-q",
            "-f",
            str(path),
            "-N",
            passphrase,
            "-C",
            "ana",
            "-a",
            "2",
            *options,
        ]
        subprocess.run(words, check=True, capture_output=True)

    return write


def _text(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)
        path.chmod(0o600)

    return write


def _changed(change: Callable[[bytes], bytes], *options: str) -> Callable[[Path], None]:
    """Return a function that writes a key and then changes the file."""

    def write(path: Path) -> None:
        _generated(*(options or ("-t", "ed25519")))(path)
        path.write_bytes(change(path.read_bytes()))

    return write


def _with_curve(path: Path) -> None:
    """Write a key as `openssl ecparam -genkey` does, after its parameters."""
    words = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", str(path)]
    subprocess.run(words, check=True, capture_output=True)
    path.chmod(0o600)


def _in_pkcs8(path: Path) -> None:
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-out", str(path)], check=True,
        capture_output=True,
    )  # fmt: skip
    path.chmod(0o600)


def _on_a_token(path: Path) -> None:
    """Write the file that ssh-keygen -t ed25519-sk leaves: a reference to the key on a token."""
    public, private = Message(), Message()
    for message in (public, private):
        message.add_string("sk-ssh-ed25519@openssh.com")
        message.add_string(b"\1" * 32)
        message.add_string("ssh:")
    key = Message()
    key.add_bytes(b"\7\7\7\7\7\7\7\7" + private.asbytes() + b"\1")
    for text in (b"handle" * 10, b"", b"ana"):
        key.add_string(text)
    padding = bytes(range(1, 1 + -len(key.asbytes()) % 8))
    whole = Message()
    whole.add_bytes(b"openssh-key-v1\0")
    for text in (b"none", b"none", b""):
        whole.add_string(text)
    whole.add_int(1)
    whole.add_string(public.asbytes())
    whole.add_string(key.asbytes() + padding)
    encoded = re.sub(r"(.{70})", r"\1\n", _base64(whole.asbytes()))
    begin, end = (f"-----{word} OPENSSH PRIVATE KEY-----" for word in ("BEGIN", "END"))
    _text(f"{begin}\n{encoded}\n{end}\n".encode())(path)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _p224(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP224R1())
    _text(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )(path)  # fmt: skip


def _readable_by_others(path: Path) -> None:
    _generated("-t", "ed25519")(path)
    path.chmod(0o644)


def _public(path: Path) -> None:
    _generated("-t", "ed25519")(path)
    path.write_bytes(Path(f"{path}.pub").read_bytes())


# By name: how the file is written, whether it is encrypted, and a part of why it is refused.
SAMPLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "Ed25519": (_generated("-t", "ed25519"), ""),
    "ECDSA 256": (_generated("-t", "ecdsa", "-b", "256"), ""),
    "ECDSA 384": (_generated("-t", "ecdsa", "-b", "384"), ""),
    "ECDSA 521": (_generated("-t", "ecdsa", "-b", "521"), ""),
    "RSA 2048": (_generated("-t", "rsa", "-b", "2048"), ""),
    "RSA 1024": (_generated("-t", "rsa", "-b", "1024"), ""),
    "RSA, PEM": (_generated(*RSA, "-m", "PEM"), ""),
    "RSA, PKCS #8": (_generated(*RSA, "-m", "PKCS8"), ""),
    "ECDSA, PEM": (_generated("-t", "ecdsa", "-m", "PEM"), ""),
    "ECDSA, PKCS #8": (_generated("-t", "ecdsa", "-m", "PKCS8"), ""),
    "RSA of openssl": (_in_pkcs8, ""),
    "EC parameters": (_with_curve, ""),
    "encrypted": (_generated("-t", "ed25519", passphrase=PASSPHRASE), ""),
    "encrypted RSA, PEM": (_generated(*RSA, "-m", "PEM", passphrase=PASSPHRASE), ""),
    "encrypted RSA, PKCS #8": (_generated(*RSA, "-m", "PKCS8", passphrase=PASSPHRASE), ""),
    "aes256-cbc": (_generated("-Z", "aes256-cbc", "-t", "ed25519", passphrase=PASSPHRASE), ""),
    "aes256-gcm": (
        _generated("-Z", "aes256-gcm@openssh.com", "-t", "ed25519", passphrase=PASSPHRASE), "",
    ),
    "many rounds": (_generated("-t", "ed25519", "-a", "24", passphrase=PASSPHRASE), ""),
    "aes128-ctr": (
        _generated("-Z", "aes128-ctr", "-t", "ed25519", passphrase=PASSPHRASE),
        "it is encrypted with aes128-ctr, which Moorage cannot read; 'ssh-keygen -p -Z aes256-ctr",
    ),
    "3des-cbc": (
        _generated("-Z", "3des-cbc", *RSA, passphrase=PASSPHRASE),
        "it is encrypted with 3des-cbc, which Moorage cannot read",
    ),
    "chacha20": (
        _generated(
            "-Z", "chacha20-poly1305@openssh.com", "-t", "ed25519", passphrase=PASSPHRASE
        ),
        "it is encrypted with chacha20-poly1305@openssh.com, which Moorage cannot read; "
        "'ssh-keygen -p -Z aes256-ctr -f FILE'",
    ),
    "no last line end": (_changed(lambda data: data.rstrip()), ""),
    "CRLF": (_changed(lambda data: data.replace(b"\n", b"\r\n")), ""),
    "text before": (_changed(lambda data: b"my key\n" + data), ""),
    "DSA": (_generated("-t", "dsa"), "it is a DSA key, which servers refuse; 'ssh-keygen -t"),
    "DSA, PEM": (_generated("-t", "dsa", "-m", "PEM"), "it is a DSA key"),
    "token": (_on_a_token, "it is on a FIDO security key, which works through the ssh agent only"),
    "PuTTY": (_text(PPK.encode()), "'puttygen FILE -O private-openssh -o NEW'"),
    "ssh.com": (
        _text(b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAAAA\n"),
        "'ssh-keygen -i -f FILE > NEW'",
    ),
    "UTF-16": (_changed(lambda data: data.decode().encode("utf-16")), "iconv -f UTF-16"),
    "P-224": (_p224, "its type is not supported"),
    "readable by others": (_readable_by_others, "'chmod 600 "),
    "public key": (_public, "it is a public key"),
    "cut off": (_changed(lambda data: data[:120]), "damaged"),
    "empty": (_text(b""), "it is not a private key file"),
    "certificate": (_text(b"-----BEGIN CERTIFICATE-----\n"), "it is not a private key file"),
}  # fmt: skip
# ssh can use these, but Moorage cannot; the message says how to change that.
ONLY_SSH = {"aes128-ctr", "3des-cbc", "chacha20", "DSA", "DSA, PEM", "token"}
# Older versions of ssh-keygen do not read these; newer ones do, or they need not be stricter.
ONLY_MOORAGE = {"CRLF", "text before", "no last line end"}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, str]:
    """A key file, with its name and why it is refused."""
    name = str(request.param)
    write, refused = SAMPLES[name]
    try:
        write(tmp_path / "key")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"ssh-keygen cannot write it: {error.stderr.decode()[:80]}")
    return name, tmp_path / "key", refused


def test_a_key_opens_as_with_ssh_or_the_reason_is_given(sample: tuple[str, Path, str]) -> None:
    name, path, refused = sample
    ssh_says = subprocess.run(
        ["ssh-keygen", "-y", "-P", PASSPHRASE, "-f", str(path)], capture_output=True, check=False
    )
    if refused:
        with pytest.raises(CannotConnect, match=re.escape(refused)):
            load_key(path, NO_AGENT)
        assert (ssh_says.returncode == 0) == (name in ONLY_SSH), ssh_says.stderr
        return
    key = load_key(path, NO_AGENT)
    assert key.file is not None
    assert key.file.unlock(lambda _: Secret(PASSPHRASE))
    if name in ONLY_MOORAGE:
        return
    assert ssh_says.returncode == 0, ssh_says.stderr
    public = key.file.public
    assert public is not None
    assert ssh_says.stdout.split()[1].decode() == _base64(public.blob)


@pytest.mark.parametrize("name", ["chacha20", "aes128-ctr", "readable by others"])
def test_the_line_in_the_message_makes_the_key_usable(name: str, tmp_path: Path) -> None:
    SAMPLES[name][0](tmp_path / "FILE")
    with pytest.raises(CannotConnect) as error:
        load_key(tmp_path / "FILE", NO_AGENT)
    line = re.findall(r"'((?:ssh-keygen|chmod) .*?)'", str(error.value))[0]
    if line.startswith("ssh-keygen"):
        line += f" -P {PASSPHRASE} -N {PASSPHRASE}"
    subprocess.run(["sh", "-ec", line], cwd=tmp_path, check=True, capture_output=True)

    file = load_key(tmp_path / "FILE", NO_AGENT).file

    assert file is not None
    assert file.unlock(lambda _: Secret(PASSPHRASE))


def test_a_configured_certificate_is_offered_with_its_key_only(tmp_path: Path) -> None:
    for name in ("authority", "first", "second"):
        _generated(*(RSA if name == "second" else ("-t", "ed25519")))(tmp_path / name)
    words = ["ssh-keygen", "-q", "-s", tmp_path / "authority", "-I", "ana", "-n", "deploy"]
    subprocess.run([*words, tmp_path / "second.pub"], check=True, capture_output=True)
    certificate = tmp_path / "elsewhere.pub"
    (tmp_path / "second-cert.pub").rename(certificate)

    found, notes = candidates(
        None,
        [tmp_path / "first", tmp_path / "second"],
        only=True,
        folder=tmp_path,
        agent=NO_AGENT,
        certificate_files=[certificate, tmp_path / "missing-cert.pub", tmp_path / "first.pub"],
    )

    assert [[offer.kind for offer in key.offers] for key in found] == [
        ["ssh-ed25519"],
        ["ssh-rsa-cert-v01@openssh.com", "ssh-rsa"],
    ]
    assert [re.sub(r".*/", "", note) for note in notes] == [
        "missing-cert.pub (cannot be read: no such file or directory)",
        "first.pub (not a certificate)",
    ]


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="there is no ssh-agent")
def test_a_key_that_only_the_agent_can_read_is_used_from_there(tmp_path: Path) -> None:
    SAMPLES["chacha20"][0](tmp_path / "key")
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\necho {PASSPHRASE}\n")
    ask.chmod(0o700)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")])
    try:
        while not (tmp_path / "agent").exists():
            pass
        environment = os.environ | {
            "SSH_AUTH_SOCK": str(tmp_path / "agent"), "SSH_ASKPASS": str(ask),
            "SSH_ASKPASS_REQUIRE": "force",
        }  # fmt: skip
        subprocess.run(
            ["ssh-add", str(tmp_path / "key")], env=environment, check=True, capture_output=True
        )

        key = load_key(tmp_path / "key", Agent(str(tmp_path / "agent")))

        assert key.agent_key is not None
        assert not key.is_locked
    finally:
        agent.terminate()
        agent.wait()
