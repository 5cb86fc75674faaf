"""The registry's files, and what is read back from them."""

from __future__ import annotations

import pytest
import yaml

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.desired.registry import config_file, environment_file, read_http_secret
from moorage.desired.state import Materials


def _answers(**registry: object) -> Answers:
    return Answers.model_validate(
        {
            "registry": {"domain": "registry.example.com", **registry},
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        }
    )


@pytest.mark.parametrize("secret", ["0123456789e01234", "deadbeef", "by-hand_7"])
def test_the_http_secret_is_read_back(secret: str) -> None:
    written = environment_file(_answers(), Materials(Secret(secret), Secret("")))
    for content in (written, f'# x\nREGISTRY_HTTP_SECRET="{secret}"\n'.encode()):
        there = read_http_secret(content)
        assert there is not None
        assert there.reveal() == secret


@pytest.mark.parametrize(
    "content",
    [b"", b'REGISTRY_HTTP_SECRET=""\n', b'REGISTRY_HTTP_SECRET="a\nb"\n', b'X="\\"a\\""\n',
     b'REGISTRY_HTTP_SECRET="\xff\x00"\n', b'#REGISTRY_HTTP_SECRET="abc"\n'],
)  # fmt: skip
def test_an_invalid_http_secret_is_not_read_back(content: bytes) -> None:
    assert read_http_secret(content) is None


def test_text_that_yaml_would_convert_is_quoted() -> None:
    words = ["08", "1e3", "1.", ".5e-7", "0o17", "y", "N", "+1E+2"]
    fields = {f"f{number}": word for number, word in enumerate(words)}
    text = config_file(_answers(settings={"log": {"fields": fields}}), "blue").decode()
    for number, word in enumerate(words):
        assert f"f{number}: '{word}'\n" in text
    assert yaml.safe_load(text)["log"]["fields"] == fields
    assert "version: 0.1\n" in text
