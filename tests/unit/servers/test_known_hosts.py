"""known_hosts means what it means to OpenSSH: ``ssh-keygen -F`` is the judge."""

from __future__ import annotations

import base64
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.errors import CannotConnect
from moorage.servers.ssh.known_hosts import KeyStatus, add_key, fingerprint, key_status, known_keys

KIND = "ssh-ed25519"


def blob(number: int) -> bytes:
    return b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes([number]) * 32


def encoded(number: int) -> str:
    return base64.b64encode(blob(number)).decode()


HOSTS = ["web", "web.example.com", "10.0.0.1"]
patterns = st.sampled_from(["web", "WEB", "*.example.com", "!web", "10.0.0.*", "w?b", "[web]:2222",
                            "[*.example.com]:*", "*"])  # fmt: skip


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen to ask")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.lists(patterns, min_size=1, max_size=3), max_size=5),
    hashed=st.booleans(),
    host=st.sampled_from(HOSTS),
    port=st.sampled_from([22, 2222]),
)
def test_the_same_lines_apply_as_in_openssh(
    tmp_path: Path, lines: list[list[str]], hashed: bool, host: str, port: int
) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{','.join(line)} {KIND} {encoded(1)}\n" for line in lines))
    if hashed:
        add_key(file, "web", 2222, KIND, blob(1), hashed=True)
    wanted = host if port == 22 else f"[{host}]:{port}"
    command = ["ssh-keygen", "-F", wanted, "-f", str(file)]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    theirs = [int(line.split()[-1]) for line in output.splitlines() if line.startswith("#")]
    assert [key.line for key in known_keys([file], host, port)] == theirs


def test_fingerprints_look_as_ssh_prints_them(tmp_path: Path) -> None:
    line = f"{KIND} {encoded(7)} comment"
    (tmp_path / "key.pub").write_text(line)
    command = ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]
    assert fingerprint(blob(7)) == theirs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ssh/known_hosts"


def verdict(file: Path, number: int, *, port: int = 22, kind: str = KIND) -> KeyStatus:
    return key_status([file], "web", port, kind, blob(number))[0]


def test_a_remembered_key_is_known_and_another_has_changed(file: Path) -> None:
    assert verdict(file, 1) is KeyStatus.UNKNOWN
    add_key(file, "web", 22, KIND, blob(1), hashed=False)
    assert verdict(file, 1) is KeyStatus.KNOWN
    assert verdict(file, 2) is KeyStatus.CHANGED
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        ("web,10.0.0.1", "ssh-keygen -R 'web' -f '{file}'"),
        ("w*,!www", "edit line 1 of {file}, which applies to w*,!www."),
    ],
)
def test_a_line_for_several_hosts_is_not_removed(file: Path, names: str, hint: str) -> None:
    file.parent.mkdir()
    file.write_text(f"{names} {KIND} {encoded(1)}\n")
    verdict, known = key_status([file], "web", 22, KIND, blob(2))
    assert verdict is KeyStatus.CHANGED
    assert known is not None
    assert known.removal_advice("web") == hint.format(file=file)


def test_a_key_of_another_type_is_a_changed_key(file: Path) -> None:
    add_key(file, "web", 22, "ecdsa-sha2-nistp256", blob(1), hashed=False)
    assert verdict(file, 2) is KeyStatus.CHANGED


def test_a_revoked_key_is_rejected_even_if_known(file: Path) -> None:
    add_key(file, "web", 22, KIND, blob(1), hashed=False)
    file.write_text(file.read_text() + f"@revoked * {KIND} {encoded(1)}\n")
    assert verdict(file, 1) is KeyStatus.REVOKED
    assert verdict(file, 1, port=2222) is KeyStatus.REVOKED


def test_a_certificate_authority_is_not_a_host_key(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(f"@cert-authority * {KIND} {encoded(1)}\n")
    assert verdict(file, 1) is KeyStatus.UNKNOWN


def test_a_line_without_port_accepts_but_never_rejects_a_key_at_another_port(
    file: Path,
) -> None:
    add_key(file, "web", 22, KIND, blob(1), hashed=False)
    assert verdict(file, 1, port=2222) is KeyStatus.KNOWN
    assert verdict(file, 2, port=2222) is KeyStatus.UNKNOWN
    add_key(file, "web", 2222, KIND, blob(2), hashed=False)
    assert verdict(file, 1, port=2222) is KeyStatus.CHANGED


def test_damaged_lines_are_skipped(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(f"web\nweb {KIND} ???\n|1|x|y {KIND} {encoded(1)}\n#web {KIND} {encoded(1)}\n")
    assert verdict(file, 1) is KeyStatus.UNKNOWN


def test_a_file_without_a_last_line_break_is_continued_properly(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(f"other {KIND} {encoded(3)}")
    add_key(file, "web", 22, KIND, blob(1), hashed=False)
    assert verdict(file, 1) is KeyStatus.KNOWN
    assert len(file.read_text().splitlines()) == 2


def test_many_threads_can_save_keys_at_once(file: Path) -> None:
    threads = [
        threading.Thread(
            target=add_key, args=(file, f"web{n}", 22, KIND, blob(n)), kwargs={"hashed": n % 2}
        )
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(20):
        assert [key.blob for key in known_keys([file], f"web{n}", 22)] == [blob(n)]


def test_an_unwritable_known_hosts_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotConnect) as caught:
        add_key(tmp_path / "file/known_hosts", "web", 22, KIND, blob(1), hashed=False)
    assert caught.value.code == "known_hosts_unwritable"
    assert str(tmp_path / "file/known_hosts") in caught.value.message
