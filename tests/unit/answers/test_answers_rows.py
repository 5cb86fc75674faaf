"""What answers mean, as rows."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.answers.model import Answers
from moorage.answers.rows import answers_rows

ANSWERS = {
    "registry": {"domain": "registry.example.com"},
    "servers": [{"host": "203.0.113.10", "user": "deploy"}],
    "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
}


def rows(**more: Any) -> dict[str, str]:
    return {row.label: row.text for row in answers_rows(Answers.model_validate(ANSWERS | more))}


def test_defaults() -> None:
    assert rows() == {
        "Address": "https://registry.example.com",
        "Servers": "deploy@203.0.113.10",
        "Users": "ci (push)",
        "Images": "on the server's disk, in /var/lib/moorage/registry",
        "DNS": "you create the records",
        "Certificate": "from a private CA: every client has to trust it first",
        "Runs as": "Debian's docker-registry package",
    }


@pytest.mark.parametrize(
    ("part", "label", "text"),
    [
        ({"registry": {"domain": "a.example.com", "port": 5000}}, "Address",
         "https://a.example.com:5000"),
        ({"credentials": {"users": [{"name": "ana", "access": "pull", "repositories": ["team-a"],
                                     "password": {"generate": True}}]}}, "Users",
         "ana (pull in team-a). team-a is one repository; team-a/* is everything below it"),
        ({"ssl": {"mode": "none"}}, "Address",
         "registry.example.com, over HTTP on port 443, behind a load balancer"),
        ({"ssl": {"mode": "acme", "acme": {"staging": True}}}, "Certificate",
         "from Let's Encrypt (staging: clients do not trust it), through port 80"),
        ({"ssl": {"mode": "acme", "acme": {"directory": "https://ca.example.com/dir"}}},
         "Certificate", "from ca.example.com, through port 80"),
        ({"storage": {"driver": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}}},
         "Images", "in the bucket images at eu-central-1"),
        ({"registry": {"domain": "a.example.com", "runtime": "podman",
                       "image": "docker.io/library/registry:3.1.1",
                       "settings": {"log": {"level": "debug"}}}}, "Runs as",
         "docker.io/library/registry:3.1.1 in Podman, 1 setting of your own"),
        ({"credentials": {"users": [
            {"name": f"u{n}", "access": "pull", "repositories": ["team/*"],
             "password": {"generate": True}} for n in range(6)]}}, "Users",
         "u0 (pull in team/*), u1 (pull in team/*), u2 (pull in team/*), u3 (pull in team/*), "
         "2 more"),
    ],
)  # fmt: skip
def test_what_is_chosen_is_named(part: dict[str, Any], label: str, text: str) -> None:
    assert rows(**part)[label] == text
