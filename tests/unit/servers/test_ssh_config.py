"""The ssh configuration means what it means to ssh: ``ssh -G`` is the judge."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.errors import CannotConnect
from moorage.servers.ssh.config import Hop, SshConfig
from moorage.servers.ssh.config_lookup import Settings

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh to ask")


def config(folder: Path, text: str) -> SshConfig:
    (folder / "config").write_text(text)
    return SshConfig.load(folder / "config", home=folder)


def asked_of_ssh(file: Path, alias: str) -> dict[str, list[str]]:
    command = ["ssh", "-F", str(file), "-G", "--", alias]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    values: dict[str, list[str]] = {}
    for line in output.splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword, []).append(value)
    return values


def assert_like_ssh(file: Path, alias: str, ours: Settings) -> None:
    theirs = asked_of_ssh(file, alias)
    assert ours.hostname.lower() == theirs["hostname"][0].lower()
    assert ours.user == theirs["user"][0]
    assert str(ours.port) == theirs["port"][0]
    assert ("yes" if ours.identities_only else "no") == theirs["identitiesonly"][0]
    assert ours.host_key_alias == theirs.get("hostkeyalias", [None])[0]
    assert ",".join(ours.proxy_jump) == theirs.get("proxyjump", [""])[0]
    if ours.identity_files:
        # ssh -G shows them as written, but in the same order.
        assert [path.name for path in ours.identity_files] == [
            Path(name).name for name in theirs["identityfile"]
        ]


NAMES = ["web1", "web2", "db.example.com", "Bastion"]
patterns = st.sampled_from(["*", "web*", "web?", "!web2", *NAMES, "*.example.com", "bastion"])
option_lines = st.one_of(
    st.sampled_from(["one.example.com", "%h.example.com", "10.0.0.1"]).map("HostName {}".format),
    st.sampled_from(["ana", '"ben"']).map("User {}".format),
    st.sampled_from([22, 2222, 65535]).map("Port={}".format),
    st.sampled_from(["a", "b", "c"]).map("IdentityFile /keys/{}".format),
    st.sampled_from(["yes", "no"]).map("IdentitiesOnly {}".format),
    st.sampled_from(["alias1", "alias2"]).map("HostKeyAlias {}".format),
    st.sampled_from(["jumper", "ana@jumper:2222", "a,b", "none"]).map("ProxyJump {}".format),
    st.sampled_from(["# a comment", "", "  Compression yes", "ServerAliveInterval 3"]),
)
block_lines = st.one_of(
    st.lists(patterns, min_size=1, max_size=3).map(lambda some: "Host " + " ".join(some)),
    st.sampled_from(["all", "host web*", "originalhost web1", "!host web1", "user ana",
                     "host *.example.com user ana", "final", "final host *.example.com"])
    .map("Match {}".format),
)  # fmt: skip


@needs_ssh
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.one_of(option_lines, block_lines), max_size=14),
    included=st.lists(st.one_of(option_lines, block_lines), max_size=6),
    position=st.integers(0, 14),
    alias=st.sampled_from(NAMES),
)
def test_any_configuration_is_parsed_as_ssh_does(
    tmp_path: Path, lines: list[str], included: list[str], position: int, alias: str
) -> None:
    (tmp_path / "more").write_text("\n".join(included) + "\n")
    lines = [*lines[:position], f"Include {tmp_path}/mor*", *lines[position:]]
    text = "\n".join(lines) + "\n"
    ours = config(tmp_path, text).lookup(alias)
    assert_like_ssh(tmp_path / "config", alias, ours)


def test_an_include_inside_a_host_block_applies_to_that_host_only(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/part").write_text("Port 2222\nHost other\nUser ben\n")
    found = config(tmp_path, "Host web\nInclude part missing\nUser ana\nHost *\nPort 22\n")
    assert (found.lookup("web").port, found.lookup("web").user) == (2222, "ana")
    assert found.lookup("elsewhere").port == 22
    assert found.lookup("other").user != "ben"


def test_circular_includes_end(tmp_path: Path) -> None:
    assert config(tmp_path, f"Include {tmp_path}/config\nPort 7\n").lookup("web").port == 7


def test_tokens_and_the_home_folder_are_expanded(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        "Host web\nHostName %h.example.com\nUser ana\nPort 2200\n"
        "IdentityFile ~/keys/%r@%h-%n-%%\nIdentityFile %d/second\n"
        "UserKnownHostsFile ~/one /two\nProxyCommand nc -x 'a b' %h %p # all of it\n",
    ).lookup("web")
    assert found.hostname == "web.example.com"
    assert found.identity_files == (
        tmp_path / "keys/ana@web.example.com-web-%",
        tmp_path / "second",
    )
    assert found.known_hosts == (tmp_path / "one", Path("/two"))
    assert found.proxy_command == "nc -x 'a b' web.example.com 2200 # all of it"


def test_answers_override_the_configuration(tmp_path: Path) -> None:
    found = config(tmp_path, "User ana\nPort 2222\nMatch user ben\nIdentityFile /bens\n")
    ours = found.lookup("web", user="ben", port=22)
    assert (ours.user, ours.port, ours.identity_files) == ("ben", 22, (Path("/bens"),))


@pytest.mark.parametrize(
    ("text", "jump", "command"),
    [
        ("ProxyJump a, b\nProxyCommand c", ("a", "b"), None),
        ("ProxyCommand c\nProxyJump a", (), "c"),
        ("ProxyJump none\nProxyCommand c", (), None),
        ("ProxyCommand none", (), None),
    ],
)
def test_the_first_proxy_option_wins(
    tmp_path: Path, text: str, jump: tuple[str, ...], command: str | None
) -> None:
    found = config(tmp_path, text).lookup("web")
    assert (found.proxy_jump, found.proxy_command) == (jump, command)


def test_unknown_options_and_criteria_are_ignored(tmp_path: Path) -> None:
    text = (
        "NoSuchThing yes\nMatch tagged x\nPort 1\nMatch localnetwork 10/8\nPort 2\nHost *\nPort 3"
    )
    assert config(tmp_path, text).lookup("web").port == 3


def test_match_exec_runs_the_command(tmp_path: Path) -> None:
    text = 'Match exec "test %h = web"\nPort 1\nMatch exec false\nUser x\nHost *\nPort 2'
    assert config(tmp_path, text).lookup("web").port == 1
    assert config(tmp_path, text).lookup("other").port == 2


def test_an_invalid_value_is_reported_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CannotConnect, match=r"config:2\).*'many'"):
        config(tmp_path, "User ana\nPort many\n").lookup("web")


def test_aliases_are_the_names_without_wildcards_in_the_order_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "part").write_text("Host inner\n")
    text = f'Host web1 web2 *.example.com\nHost "quoted" !not\nInclude {tmp_path}/part\nHost web1'
    assert config(tmp_path, text).aliases() == ["web1", "web2", "quoted", "inner"]


def test_a_missing_configuration_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOORAGE_SSH_CONFIG", raising=False)
    found = SshConfig.load(tmp_path / "missing", home=tmp_path).lookup("web")
    assert (found.hostname, found.port, found.identity_files) == ("web", 22, ())
    assert found.known_hosts[0] == tmp_path / ".ssh/known_hosts"


def test_the_environment_names_another_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_text("Port 99\n")
    monkeypatch.setenv("MOORAGE_SSH_CONFIG", str(tmp_path / "other"))
    assert SshConfig.load(home=tmp_path).lookup("web").port == 99


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("bastion", Hop("bastion")),
        ("ana@bastion:2222", Hop("bastion", "ana", 2222)),
        ("ssh://ana@bastion:2222/", Hop("bastion", "ana", 2222)),
        ("ana@[2001:db8::1]:2222", Hop("2001:db8::1", "ana", 2222)),
        ("2001:db8::1", Hop("2001:db8::1")),
        ("ana@corp@bastion", Hop("bastion", "ana@corp")),
    ],
)
def test_jump_hosts_are_parsed_as_ssh_does(text: str, hop: Hop) -> None:
    assert Hop.parse(text) == hop


@pytest.mark.parametrize("text", ["", "ana@", "host:port", "a b"])
def test_an_invalid_jump_host_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Hop.parse(text)
