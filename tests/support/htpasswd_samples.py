"""The sample htpasswd files, and the lines in them that an import refuses.

All hashes are of :data:`PASSWORD`, except those that :data:`OTHER_PASSWORD` names.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "samples" / "htpasswd"
PASSWORD = "harbour-bell"
OTHER_PASSWORD = {("duplicates", b"bob")}
"""Users whose password is another one."""

REFUSED: dict[str, dict[int, str]] = {
    "apr1_salt_too_long": {1: "ana: its apr1 hash is damaged"},
    "argon2": {1: "ana: its hash is Argon2, which nginx cannot check"},
    "bcrypt_2x": {1: "ana: its hash is bcrypt of the variant 2x"},
    "bcrypt_not_canonical": {1: "ana: its bcrypt hash is damaged: no password matches it"},
    "bsdi_crypt": {1: "ana: its hash looks like BSDi crypt"},
    "comment_after_blank": {1: "has no colon"},
    "damaged": {1: "ana: its apr1 hash is damaged", 2: "bob: its bcrypt hash is damaged"},
    "des_crypt": {1: "ana: its hash looks like DES crypt"},
    "duplicates": {2: "ana: repeats line 1", 4: "bob: repeats line 3"},
    "duplicates_in_case": {2: "Ana: differs from ana in line 1 only in case"},
    "gost_yescrypt": {1: "ana: its hash is gost-yescrypt"},
    "latin_1": {1: "is not UTF-8"},
    "line_too_long": {1: "is longer than 1024 bytes"},
    "md5_crypt": {1: "ana: its hash is MD5-crypt"},
    "name_is_a_hash": {1: "invalid name"},
    "name_too_long": {1: "nnn: invalid name: is too long: 129 characters (maximum 128)"},
    "names_with_other_characters": {
        1: "an a: invalid name: must be letters, digits and any of . _ @ + - $ \\ (the",
        2: "josé: invalid name",
        3: "team/app: invalid name",
        4: "-ana: invalid name",
        5: '"ana": invalid name',
        6: " ana: invalid name",
    },
    "no_colon": {1: "has no colon"},
    "no_hash": {1: "ana: has no hash"},
    "no_name": {1: "has no name before the colon"},
    "nt_hash": {1: "ana: its hash is NTLM"},
    "plain": {1: "ana: its password is in plain text"},
    "plain_without_scheme": {1: "looks like a password in plain text"},
    "salted_sha1": {1: "ana: its hash is SHA-1"},
    "scrypt": {1: "ana: its hash is scrypt"},
    "sha1": {1: "ana: its hash is SHA-1"},
    "sha1_crypt": {1: "ana: its hash is SHA-1 crypt"},
    "sha256_crypt_too_few_rounds": {1: "ana: its SHA-256 crypt hash is damaged"},
    "sha512_crypt_salt_with_blank": {1: "ana: its SHA-512 crypt hash is damaged"},
    "sun_md5": {1: "ana: its hash is Sun MD5"},
    "utf_16": {1: "iconv -f UTF-16 -t UTF-8 FILE > NEW"},
    "yescrypt_much_memory": {1: "ana: its yescrypt hash is damaged, or a login takes more"},
}
"""By sample and line: a part of what the import says."""


def samples() -> list[Path]:
    """Return the sample files."""
    return sorted(FOLDER.iterdir())
