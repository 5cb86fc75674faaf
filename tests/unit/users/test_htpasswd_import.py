"""Reading htpasswd files that somebody else wrote."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import slowness

from moorage.desired.users import RegistryUser
from moorage.users.htpasswd_import import HtpasswdFile, merge, parse_htpasswd

BCRYPT = "$2y$12$" + "." * 53
APR1 = "$apr1$saltsalt$" + "b" * 22
SHA256 = "$5$rounds=5000$salt$" + "c" * 43
SHA512 = "$6$salt$" + "d" * 86


def _file(*lines: str) -> HtpasswdFile:
    return parse_htpasswd("\n".join(lines).encode())


def test_imported_hashes_are_unchanged() -> None:
    file = _file(f"ana:{BCRYPT}", f"bob:{APR1}", f"cid:{SHA256}", f"dan:{SHA512}", "")

    assert [(user.name, user.hash) for user in file.users] == [
        ("ana", BCRYPT), ("bob", APR1), ("cid", SHA256), ("dan", SHA512),
    ]  # fmt: skip
    assert file.rejected == ()


def test_comments_and_empty_lines_are_skipped_but_counted() -> None:
    file = _file("# the team", "", "  ", f"ana:{APR1}", "bob:")

    assert [(user.line, user.name) for user in file.users] == [(4, "ana")]
    assert [(each.line, each.name) for each in file.rejected] == [(5, "bob")]


def test_byte_order_marks_and_crlf_are_accepted() -> None:
    file = parse_htpasswd(b"\xef\xbb\xbf" + f"ana:{APR1}\r\nbob:{BCRYPT} \r\n".encode())

    assert [(user.name, user.hash) for user in file.users] == [("ana", APR1), ("bob", BCRYPT)]


def test_text_after_a_second_colon_is_a_comment() -> None:
    assert _file(f"ana:{APR1}:Ana, tools").users[0].hash == APR1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"ana", "has no colon"),
        (f":{APR1}".encode(), "has no name"),
        (b"ana:", "has no hash"),
        (b"ana:hunter2", "a password in plain text"),
        (b"ana:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"),
        (b"ana:{SSHA}abc", "SHA-1"),
        (b"ana:rqXexS6ZhobKA", "DES crypt"),
        (b"ana:$1$salt$abcdefghijklmnopqrstuv", "MD5-crypt"),
        (b"ana:$argon2id$v=19$m=1$x", "Argon2, which nginx cannot check"),
        (b"ana:$2y$12$short", "bcrypt hash is damaged"),
        (b"ana:$apr1$salt$short", "apr1 hash is damaged"),
        (b"ana:$2y$31$" + b"a" * 53, "has cost 31"),
        (b"ana:$6$rounds=999999999$salt$" + b"d" * 86, "has 999999999 rounds"),
        (f"an a:{APR1}".encode(), "invalid name"),
        (f" ana:{APR1}".encode(), "invalid name"),
        (f"jos\u00e9:{APR1}".encode(), "invalid name"),
        (f"a\0na:{APR1}".encode(), "invalid name"),
        (f"ana:{APR1}\0".encode(), "damaged"),
        (f"{'a' * 129}:{APR1}".encode(), "invalid name"),
        (b"ana:" + b"x" * 10_000, "longer than 1024 bytes"),
        (b"jos\xe9:x", "is not UTF-8"),
    ],
)
def test_a_rejected_line_has_a_reason_and_never_shows_the_hash(line: bytes, reason: str) -> None:
    file = parse_htpasswd(b"first:" + APR1.encode() + b"\n" + line + b"\nlast:" + BCRYPT.encode())

    assert [user.name for user in file.users] == ["first", "last"]
    [rejected] = file.rejected
    assert rejected.line == 2
    assert reason in rejected.reason
    value = line.partition(b":")[2].decode(errors="replace")
    assert not value or value[:30] not in str(rejected)


def test_the_first_line_of_a_name_wins_even_when_rejected() -> None:
    file = _file(f"ana:{APR1}", f"ana:{BCRYPT}", f"Ana:{BCRYPT}", "bob:plain", f"bob:{APR1}")

    assert [(user.name, user.hash) for user in file.users] == [("ana", APR1)]
    assert [(each.line, each.reason[:40]) for each in file.rejected] == [
        (2, "repeats line 1, which is the one nginx u"),
        (3, "differs from ana in line 1 only in case"),
        (4, "the part after the colon looks like a pa"),
        (5, "repeats line 4, which is the one nginx u"),
    ]


@given(st.binary(max_size=400))
def test_importing_any_file_never_raises(content: bytes) -> None:
    parse_htpasswd(content)


_names = st.sampled_from(["ana", "Ana", "bob", "", "b b", "#x", "\u00e9", "a\0"])
_values = st.sampled_from([BCRYPT, APR1, SHA256, SHA512, "", "plain", "{SHA}x", "$1$x", "a:b"])
_line_texts = st.one_of(
    st.builds("{}:{}".format, _names, _values), st.text(max_size=12), st.just("")
)


@given(st.lists(_line_texts, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_every_line_is_imported_or_reported(lines: list[str], ending: str) -> None:
    content = ending.join(lines).encode()

    file = parse_htpasswd(content)

    meant = {
        number
        for number, line in enumerate(_split(content.removeprefix(b"\xef\xbb\xbf")), 1)
        if line.strip() and not line.startswith(b"#")
    }
    taken = [user.line for user in file.users]
    told = [each.line for each in file.rejected]
    assert sorted(taken + told) == sorted(meant)
    assert len({user.name.lower() for user in file.users}) == len(file.users)


def _split(content: bytes) -> list[bytes]:
    """Return the lines of a file of any system, the oldest Macs' included."""
    return re.split(rb"\r\n|\n|\r", content)


def test_importing_ten_thousand_lines_takes_under_a_second() -> None:
    content = "".join(f"user{number}:{APR1}\n" for number in range(10_000)).encode()
    started = time.process_time()

    file = parse_htpasswd(content)
    merge([], file, "pull")

    assert len(file.users) == 10_000
    assert time.process_time() - started < 1 * slowness()


def test_existing_users_are_unchanged_unless_replaced() -> None:
    there = [RegistryUser("ana", BCRYPT, "pull", ("team-a/*",), disabled=True)]
    file = _file(f"ana:{APR1}", f"ANA2:{APR1}", f"bob:{APR1}")

    kept = merge(there, file, "push", ["tools/x"])
    replaced = merge(there, file, "push", on_existing="replace")

    assert kept.users[0] == there[0]
    assert kept.kept == ("ana",)
    assert kept.added == ("ANA2", "bob")
    assert kept.users[2] == RegistryUser("bob", APR1, "push", ("tools/x",))
    assert replaced.replaced == ("ana",)
    assert replaced.users[0] == RegistryUser("ana", APR1, "pull", ("team-a/*",), disabled=True)


def test_a_name_differing_only_in_case_is_reported() -> None:
    merged = merge([RegistryUser("Ana", BCRYPT)], _file("x", f"ana:{APR1}"), "pull")

    assert merged.users == (RegistryUser("Ana", BCRYPT),)
    assert [each.line for each in merged.rejected] == [1, 2]
    assert "differs from the existing user Ana" in merged.rejected[1].reason


def test_a_user_without_access_is_adopted_with_the_same_hash() -> None:
    nobody = RegistryUser("ana", APR1, None)

    merged = merge([nobody], _file(f"ana:{APR1}"), "pull")

    assert merged.users == (RegistryUser("ana", APR1, "pull"),)
    assert merged.added == ("ana",)
