"""The sample ssh configurations mean what they mean to ssh: ``ssh -G`` is the judge."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from moorage.errors import CannotConnect
from moorage.servers.ssh.config import SshConfig
from moorage.servers.ssh.config_lookup import Settings

FOLDER = Path(__file__).parents[2] / "samples" / "ssh_config"
SAMPLES = sorted(path for path in FOLDER.iterdir() if path.is_file())
ALIASES = ("web1", "web2", "web9", "bastion", "db")

FOR_ANOTHER_HOST = {"port_out_of_range", "unknown_option"}
"""Files that ssh refuses for every host, because of a mistake in the block of web1."""

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh to ask")


@needs_ssh
@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_value_is_that_of_ssh(sample: Path, alias: str, tmp_path: Path) -> None:
    # ssh -F looks for included files in ~/.ssh, which it takes from the account's entry.
    text = sample.read_bytes().replace(b"Include ", f"Include {FOLDER}/".encode())
    (tmp_path / "config").write_bytes(text)
    theirs = _of_ssh(tmp_path / "config", alias)
    try:
        ours = _of_moorage(SshConfig.load(tmp_path / "config").lookup(alias))
    except CannotConnect:
        ours = None
    if sample.name in FOR_ANOTHER_HOST and alias != "web1":
        assert theirs is None
        return

    assert ours == theirs


def _of_moorage(settings: Settings) -> dict[str, list[str]]:
    return {
        "hostname": [settings.hostname.lower()],
        "user": [settings.user],
        "port": [str(settings.port)],
        "identityfile": [str(path) for path in settings.identity_files],
        "certificatefile": [str(path) for path in settings.certificate_files],
        "identitiesonly": ["yes" if settings.identities_only else "no"],
        "identityagent": [settings.identity_agent] if settings.identity_agent else [],
        "proxyjump": [",".join(settings.proxy_jump)] if settings.proxy_jump else [],
        "proxycommand": [settings.proxy_command] if settings.proxy_command else [],
        "hostkeyalias": [settings.host_key_alias] if settings.host_key_alias else [],
        "stricthostkeychecking": [settings.strict],
        "userknownhostsfile": [str(path) for path in settings.known_hosts],
        "connecttimeout": [f"{settings.connect_timeout or 0:.0f}"],
    }


def _of_ssh(file: Path, alias: str) -> dict[str, list[str]] | None:
    """Return the values that ssh uses, expanded as when it connects; None if it refuses."""
    command = ["ssh", "-F", str(file), "-G", "--", alias]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        return None
    found: dict[str, list[str]] = {}
    for line in ended.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword, []).append(value)
    tokens = {
        "%h": found["hostname"][0], "%r": found["user"][0], "%p": found["port"][0], "%n": alias,
        "%%": "%",
    }  # fmt: skip

    def expand(value: str) -> str:
        for token, text in tokens.items():
            value = value.replace(token, text)
        value = value.replace("${HOME}", os.environ["HOME"])
        return value.replace("~", str(Path.home()), 1) if value.startswith("~") else value

    strict = {"true": "yes", "false": "no"}
    found["hostname"] = [found["hostname"][0].lower()]
    found["connecttimeout"] = [found["connecttimeout"][0].replace("none", "0")]
    found["stricthostkeychecking"] = [
        strict.get(value, value) for value in found["stricthostkeychecking"]
    ]
    found["userknownhostsfile"] = found["userknownhostsfile"][0].split()
    found["identityfile"] = [] if _are_default(found["identityfile"]) else found["identityfile"]
    keywords = _of_moorage(SshConfig([]).lookup("x"))
    return {keyword: [expand(value) for value in found.get(keyword, [])] for keyword in keywords}


def _are_default(files: list[str]) -> bool:
    return files[0] == "~/.ssh/id_rsa" and len(files) > 4
