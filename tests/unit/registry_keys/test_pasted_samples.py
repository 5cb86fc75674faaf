"""What pasting the sample settings fills in, compared with the programs they are written for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from pasted_samples import FIELDS, MESSAGES, SHELL, fields_of, readable, resolved, samples

from moorage.registry_keys import paste_s3_environment

# sh expands what compose leaves to the next line, and knows no byte order mark.
NOT_FOR_BASH = {
    "env_bom_crlf.env", "env_lone_secret.env", "env_partial_variable.env", "env_required.env",
    "env_typo.env", "env_whole_application.env", "kubectl_secret.sh", "open_quote.sh",
    "aws_configure.sh", "mc_alias.sh", "mc_host.sh", "env_empty_value.env",
}  # fmt: skip
BASH = [
    path for path in samples() if path.suffix in {".sh", ".env"} and path.name not in NOT_FOR_BASH
]
DOCKER = """
docker() {
    for word in "$@"; do
        case "$before" in -e | --env) set_variable "$word" ;; esac
        case "$word" in
        -e | --env) ;;
        --env=*) set_variable "${word#--env=}" ;;
        -e*) set_variable "${word#-e}" ;;
        esac
        before=$word
    done
}
set_variable() { case "$1" in *=*) export "${1%%=*}=${1#*=}" ;; *) export "$1" ;; esac; }
set -a
. "$1"
exec env -0
"""
"""Runs a file, with a docker that has the variables of its container itself."""


@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.name)
def test_pasted_settings_mean_this(sample: Path) -> None:
    pasted = paste_s3_environment(sample.read_bytes().decode())

    assert readable(pasted.fields) == FIELDS[sample.name]
    messages = {each.line or 0: each.message for each in pasted.problems + pasted.notes}
    assert messages == MESSAGES.get(sample.name, {})


@pytest.mark.parametrize("sample", BASH, ids=lambda path: path.name)
def test_bash_and_docker_run_read_the_same(sample: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    shell = SHELL if sample.name != "docker_run_from_shell.sh" else SHELL | {"PATH": "/usr/bin"}
    asked = [bash, "-c", DOCKER, "bash", str(sample)]
    output = subprocess.run(
        asked, env={"PATH": "/usr/bin:/bin", **shell}, capture_output=True, check=True
    ).stdout.decode()
    variables = dict(line.split("=", 1) for line in output.split("\0") if line)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if name not in sample.read_text():
            variables.pop(name)  # of the shell alone

    assert fields_of(variables) == resolved(sample.name)


@pytest.mark.parametrize(
    "sample", [path for path in samples() if path.suffix == ".aws"], ids=lambda path: path.name
)
def test_the_aws_tools_read_the_same(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    botocore = pytest.importorskip("botocore.session")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    which = "AWS_CONFIG_FILE" if "config" in sample.name else "AWS_SHARED_CREDENTIALS_FILE"
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(sample) if name == which else "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    session = botocore.Session()
    keys = session.get_credentials()
    found = {
        "accesskey": keys and keys.access_key,
        "secretkey": keys and keys.secret_key,
        "region": session.get_config_variable("region"),
        "regionendpoint": session.get_scoped_config().get("endpoint_url"),
        "forcepathstyle": (session.get_scoped_config().get("s3") or {}).get("addressing_style")
        == "path" or None,
    }  # fmt: skip

    assert {name: value for name, value in found.items() if value} == FIELDS[sample.name]
