"""What people need to know once a registry runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moorage.answers.model import Answers
from moorage.cli.report_view import handover_lines
from moorage.deploy.certificates import ca
from moorage.deploy.certificates.trust import authority_of
from moorage.deploy.handover import handover


def _answers(**parts: Any) -> Answers:
    document = {
        "registry": {"domain": "registry.example.test"},
        "servers": [{"host": "192.0.2.7"}],
        "credentials": {
            "users": [
                {"name": "ana", "access": "pull", "password": {"generate": True}},
                {"name": "ci", "access": "push", "password": {"generate": True}},
            ]
        },
        **parts,
    }
    return Answers.model_validate(document)


def _resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def look_up(name: str, *_: object, **__: object) -> list[Any]:
        if not addresses:
            raise OSError
        return [(2, 1, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", look_up)


def test_the_port_is_part_of_the_name_where_it_is_not_443(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve(monkeypatch)
    registry = {"domain": "registry.example.test", "port": 8443}

    handed = handover(_answers(registry=registry), {"192.0.2.7": "192.0.2.7"})

    assert handed.login == "docker login registry.example.test:8443 -u ci"
    assert handed.docker_ca_file == "/etc/docker/certs.d/registry.example.test:8443/ca.crt"


def test_behind_a_load_balancer_there_is_no_port_and_no_ca(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve(monkeypatch)
    answers = _answers(
        registry={"domain": "registry.example.test", "port": 8080}, ssl={"mode": "none"}
    )

    handed = handover(answers, {})

    assert handed.login == "docker login registry.example.test -u ci"
    assert handed.docker_ca_file == ""
    assert handed.ca_file is None


@pytest.mark.parametrize(
    ("now", "is_resolved"),
    [
        ([], False),
        (["192.0.2.7"], True),
        (["192.0.2.7", "192.0.2.8"], True),
        (["198.51.100.1"], False),
        (["192.0.2.7", "198.51.100.1"], False),
    ],
)
def test_dns_records_are_listed_unless_the_name_resolves_to_the_servers(
    monkeypatch: pytest.MonkeyPatch, now: list[str], is_resolved: bool
) -> None:
    _resolve(monkeypatch, *now)
    addresses = {"one": "192.0.2.7", "two": "192.0.2.8", "three": "2001:db8::7"}

    handed = handover(_answers(), addresses)
    text = "\n".join(
        "".join(str(piece) for piece in line)
        for line in handover_lines(handed, Path("moorage.yml"))
    )

    assert handed.is_resolved is is_resolved
    assert ("registry.example.test 300 A 192.0.2.7" in text) is not is_resolved
    assert ("registry.example.test 300 AAAA 2001:db8::7" in text) is not is_resolved


def test_servers_given_by_name_are_listed_as_address_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "moorage.dns.desired_records.resolve_locally",
        {"one.example.test": ("192.0.2.7",), "two.example.test": ("192.0.2.8",)}.__getitem__,
    )
    _resolve(monkeypatch)

    handed = handover(_answers(), {"one": "one.example.test", "two": "two.example.test"})

    assert [(each.kind, each.values) for each in handed.records] == [
        ("A", ("192.0.2.7", "192.0.2.8"))
    ]


def test_a_server_without_an_address_is_reported_instead_of_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _resolve(monkeypatch)

    handed = handover(_answers(), {"one": "one.example.test"})
    text = "\n".join(
        "".join(str(piece) for piece in line)
        for line in handover_lines(handed, Path("moorage.yml"))
    )

    assert "one.example.test does not resolve" in text
    assert "Create these records" not in text


def test_only_active_users_are_listed_for_login(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve(monkeypatch)
    users = [
        {"name": "gone", "password": {"generate": True}, "disabled": True},
        {"name": "team", "password": {"generate": True}, "repositories": ["team/*"]},
        {"name": "ci", "password": {"generate": True}},
    ]

    handed = handover(_answers(credentials={"users": users}), {})

    assert handed.login.endswith(" -u ci")


def test_the_private_ca_file_exists_at_the_reported_path(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve(monkeypatch)
    authority = ca.create("Moorage private CA", "registry.example.test")
    ca.keep("Moorage private CA", "registry.example.test", authority)

    handed = handover(_answers(), {})

    assert handed.ca_file is not None
    assert handed.ca_file.read_bytes() == authority.certificate_pem


def test_the_ca_clients_have_to_trust(tmp_path: Path) -> None:
    assert authority_of(_answers()) is None
    authority = ca.create("Moorage private CA", "registry.example.test")
    ca.keep("Moorage private CA", "registry.example.test", authority)
    assert authority_of(_answers()) == authority.certificate_pem

    chain = tmp_path / "fullchain.pem"
    chain.write_bytes(authority.issue("registry.example.test").certificate)
    files = {"mode": "files", "files": {"certificate": str(chain), "key": "key.pem"}}
    assert authority_of(_answers(ssl=files)) == authority.certificate_pem
    chain.write_bytes(chain.read_bytes().removesuffix(authority.certificate_pem))
    assert authority_of(_answers(ssl=files)) is None
