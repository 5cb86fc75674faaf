"""``moorage clients``: the text for each client, from the engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificate_maker import Authority
from click.testing import CliRunner, Result

from moorage.answers.model import Answers
from moorage.cli.commands import moorage
from moorage.cli.errors import WrongUsageError
from moorage.deploy.certificates import ca
from moorage.deploy.clients import CLIENTS, access_of, client_setups
from moorage.errors import MoorageError

DOMAIN = "registry.example.test"


def _answers(**parts: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "registry": {"domain": DOMAIN, "port": 8443},
        "servers": [{"host": "192.0.2.7"}, {"host": "192.0.2.8"}],
        "storage": {"driver": "s3", "s3": {"bucket": "images", "region": "eu-west-1"}},
        "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        **parts,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    authority = ca.create("Moorage private CA", DOMAIN)
    ca.keep("Moorage private CA", DOMAIN, authority)
    path = tmp_path / "moorage.yml"
    path.write_text(json.dumps(_answers()))
    return path


def _run(*words: str) -> Result:
    result = CliRunner().invoke(moorage, ["clients", *words])
    assert result.exit_code == 0, result.output
    return result


def _texts(**parts: Any) -> dict[str, str]:
    answers = Answers.model_validate(_answers(**parts))
    authority = ca.create("Moorage private CA", DOMAIN).certificate_pem
    access = access_of(answers, authority, ("192.0.2.7", "192.0.2.8"))
    return {each.client: each.text for each in client_setups(access)}


def test_one_client_prints_only_what_to_paste(file: Path) -> None:
    result = _run(str(file), "docker")

    assert result.stdout.startswith("(\nset -e\n")
    assert result.stdout.endswith(f"docker login {DOMAIN}:8443 -u ci\n)\n")
    assert "/etc/docker/certs.d/registry.example.test:8443/ca.crt" in result.stdout
    assert f"printf '%s {DOMAIN}\\n' 192.0.2.7 192.0.2.8 |" in result.stdout
    assert "echo 'Waiting until Docker has read /etc/hosts'\nsleep 6\n" in result.stdout


def test_all_clients_are_printed_under_their_names(file: Path) -> None:
    output = _run(str(file)).stdout
    for client, (title, _) in CLIENTS.items():
        assert f"{title}  moorage clients {file} {client}\n" in output


def test_json_has_the_same_text(file: Path) -> None:
    found = json.loads(_run(str(file), "--json").stdout)

    assert (found["registry"], found["user"]) == (f"{DOMAIN}:8443", "ci")
    assert found["hosts"] == ["192.0.2.7", "192.0.2.8"]
    texts = {each["client"]: each["text"] for each in found["clients"]}
    assert list(texts) == list(CLIENTS)
    assert texts["docker"] == _run(str(file), "docker").stdout.removesuffix("\n")


def test_another_user_logs_in(file: Path) -> None:
    assert "-u ana\n" in _run(str(file), "podman", "--user", "ana").stdout
    refused = CliRunner().invoke(moorage, ["clients", str(file), "--user", "a; reboot"])
    assert isinstance(refused.exception, WrongUsageError)


@pytest.mark.parametrize("user", ["CORP\\bob", "robot$ci", "007"])
def test_any_user_name_arrives_as_it_is(file: Path, user: str) -> None:
    found = json.loads(_run(str(file), "--user", user, "--json").stdout)["clients"]
    texts = {each["client"]: each["text"] for each in found}
    for client in ("docker", "podman"):
        line = texts[client].splitlines()[-2]
        shown = subprocess.run(
            ["sh", "-c", f"{client}() {{ printf %s \"$4\"; }}; {line}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert shown.stdout == user
    assert yaml.safe_load(texts["actions"])[1]["with"]["username"] == user


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shells_accept_the_lines(shell: str) -> None:
    texts = _texts()
    actions = yaml.safe_load(texts.pop("actions"))
    for text in (*texts.values(), actions[0]["run"]):
        done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=True)
        assert not done.stderr


def test_github_actions_get_a_list_of_steps() -> None:
    trust, login = yaml.safe_load(_texts()["actions"])
    assert "\n-----END CERTIFICATE-----\nEND\n" in trust["run"]
    assert login["with"]["registry"] == f"{DOMAIN}:8443"


def test_clients_that_trust_and_resolve_the_registry_only_log_in() -> None:
    answers = Answers.model_validate(_answers(ssl={"mode": "none"}))
    texts = {each.client: each.text for each in client_setups(access_of(answers, None))}

    assert texts["docker"] == f"docker login {DOMAIN} -u ci"
    assert texts["podman"] == f"podman login {DOMAIN} -u ci"
    assert "system" not in texts
    assert [step["uses"] for step in yaml.safe_load(texts["actions"])] == ["docker/login-action@v3"]


def test_nothing_but_certificates_from_a_server_is_pasted() -> None:
    authority = ca.create("Moorage private CA", DOMAIN).certificate_pem
    hostile = b"reboot\n" + authority + b"END\nreboot\n"
    answers = Answers.model_validate(_answers())
    for each in client_setups(access_of(answers, hostile)):
        assert "reboot" not in each.text


def test_a_client_that_needs_nothing_is_an_error(file: Path) -> None:
    file.write_text(json.dumps(_answers(ssl={"mode": "none"})))
    refused = CliRunner().invoke(moorage, ["clients", str(file), "system"])
    assert isinstance(refused.exception, MoorageError)
    assert refused.exception.code == "nothing_to_set_up"
    assert not refused.stdout


def test_a_ca_for_any_name_is_not_trusted_by_the_whole_system() -> None:
    texts = {
        each.client: each.text
        for each in client_setups(
            access_of(Answers.model_validate(_answers()), Authority("Any name").pem)
        )
    }
    assert "BEGIN CERTIFICATE" in texts["docker"]
    assert "system" not in texts


def test_every_client_is_described() -> None:
    page = (Path(__file__).parents[3] / "docs/clients.md").read_text(encoding="utf-8")
    assert not [client for client in CLIENTS if f"`{client}`" not in page]
