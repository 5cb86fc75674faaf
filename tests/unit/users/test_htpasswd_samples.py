"""What an import says about the sample htpasswd files; nginx's verdict is in the lab's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from htpasswd_samples import REFUSED, samples

from moorage.desired.users import RegistryUser, access_map, read_access_map
from moorage.users.htpasswd_import import parse_htpasswd


@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.name)
def test_an_import_refuses_exactly_these_lines_and_says_why(sample: Path) -> None:
    refused = {each.line: str(each) for each in parse_htpasswd(sample.read_bytes()).rejected}

    expected = REFUSED.get(sample.name, {})
    assert refused.keys() == expected.keys(), refused
    for line, part in expected.items():
        assert part in refused[line]


@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.name)
def test_the_access_map_keeps_every_name_apart(sample: Path) -> None:
    names = [user.name for user in parse_htpasswd(sample.read_bytes()).users]
    users = [RegistryUser(name, "", "pull", (f"team-{n}/*",)) for n, name in enumerate(names)]

    found = read_access_map(access_map(users))

    assert found == {user.name.lower(): (user.access, user.repositories) for user in users}
