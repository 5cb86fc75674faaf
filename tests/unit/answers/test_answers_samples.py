"""Answers files as people write them: read as YAML reads them, or refused with the place."""

# ruff: noqa: RUF001  # the characters that are meant
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from moorage.answers.load import load_draft

FOLDER = Path(__file__).parents[2] / "samples" / "answers"
SAMPLES = sorted(FOLDER.iterdir())

REFUSED: dict[str, str] = {
    "at_sign": "4:30 : is not valid YAML from here on: put a value that begins with @, ` or % in ",
    "dash": "2:20 registry.domain: contains the dash – (U+2013); use -",
    "domain_with_blank": "2:20 registry.domain: must be a DNS name such as registry.example.com",
    "domain_with_dot": "2:20 registry.domain: must be a DNS name such as registry.example.com",
    "domain_with_port": "2:20 registry.domain: must be a DNS name such as registry.example.com",
    "domain_with_scheme": "2:20 registry.domain: must be a DNS name such as registry.example.com",
    "domain_with_slash": "2:20 registry.domain: must be a DNS name such as registry.example.com",
    "duplicate": "6:1 storage: is set twice; the first one is on line 5",
    "empty_file": "1:1 : is empty; see docs/answers.md for a minimal answers file",
    "empty_s3": "7:6 storage.s3: the driver s3 needs a section s3 with bucket and region",
    "guillemets": "2:20 registry.domain: contains the typographic quote «; use ' or \", or none",
    "host_with_port": "3:18 servers[0].host: must be an IP address, a host name or an alias from ",
    "host_with_user": "3:18 servers[0].host: must be the host alone; the user has a field of its ",
    "indentation": "4:2 : is not valid YAML from here on: this line does not match the lines abov",
    "key_is_no": "5:1 : YAML reads the key no as true or false; put it in quotes",
    "latin_1": "1:4 : is not valid UTF-8 from here on; save the file as UTF-8",
    "list": "1:1 : is a list; expected keys such as version, registry and servers",
    "name_007": "4:30 credentials.users[0].name: YAML reads 007 as an octal number, 7; write 7, o",
    "name_NO": "4:30 credentials.users[0].name: must be text, but YAML reads NO as true or false;",
    "name_null": "4:30 credentials.users[0].name: is empty; expected a name",
    "name_on": "4:30 credentials.users[0].name: must be text, but YAML reads on as true or false;",
    "no_break_space": "3:1 servers:\xa0[{host: unknown key; it contains the blank U+00A0; use",
    "no_break_space_indentation": "2:1 \xa0\xa0domain: unknown key; it contains the blank",
    "only_comments": "1:1 : is empty; see docs/answers.md for a minimal answers file",
    "percent": "4:30 : is not valid YAML from here on: put a value that begins with @, ` or % in ",
    "port_0443": "2:48 registry.port: YAML reads 0443 as an octal number, 291; write 443, or put ",
    "port_0888": "2:48 registry.port: must be a whole number without a zero before it",
    "port_0o22": "2:48 registry.port: must be a whole number",
    "port_sexagesimal": "2:48 registry.port: must be a whole number",
    "quotes_around_host": "3:18 servers[0].host: contains the typographic quote “; use ' or \", or",
    "quotes_around_key": "2:12 registry.“domain”: unknown key; it contains the typographic quote ",
    "quotes_around_user": "4:30 credentials.users[0].name: contains the typographic quote “; use ",
    "quotes_open": "5:1 : is not valid YAML from here on: a quote or bracket opened before this i",
    "quotes_single_typographic": "2:20 registry.domain: contains the typographic quote ‘; use ' o",
    "quotes_typographic": "2:20 registry.domain: contains the typographic quote “; use ' or \", or",
    "single_server": "3:10 servers: must be a list, each item on its own line beginning with '- '",
    "star": "2:21 : is not valid YAML from here on: put a value that begins with * or & in quotes",
    "tabs": "2:1 : this line is indented with a tab; YAML requires spaces",
    "two_documents": "5:1 : is not valid YAML from here on: a second document begins here; only o",
    "user_string": "4:23 credentials.users[0]: must be a section with name, access, repositories,",
    "utf_16": "1:1 : is not valid UTF-8 from here on; save the file as UTF-8",
    "version_float": "1:10 version: must be 1, without quotes",
    "version_str": "1:10 version: must be 1, without quotes",
    "wide_colon": "2:12 registry.domain： registry.example.com: unknown key; it contains the wide ",
    "zero_width": "2:20 registry.domain: contains the invisible character U+200B; remove it",
}
"""By sample: the place of its first problem and a part of what is said."""


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_what_is_wrong_is_said_where_it_is(sample: Path) -> None:
    loaded = load_draft(sample)
    problems = [
        f"{each.line}:{each.column} {each.dotted}: {each.message}" for each in loaded.problems
    ]

    expected = REFUSED.get(sample.stem)
    if expected is None:
        assert problems == []
        assert loaded.answers is not None
    else:
        assert any(problem.startswith(expected) for problem in problems), problems


@pytest.mark.parametrize(
    "sample", [path for path in SAMPLES if path.stem not in REFUSED], ids=lambda path: path.stem
)
def test_what_is_accepted_is_read_as_yaml_reads_it(sample: Path) -> None:
    theirs = yaml.load(sample.read_bytes(), Loader=yaml.CSafeLoader)

    assert _plain(load_draft(sample).data) == _plain(theirs)


def _plain(value: object) -> object:
    """Return a value without what is empty, and dates as they are written."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if type(value).__name__ == "date" else value
