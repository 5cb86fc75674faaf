"""Recorded answers hold nothing that could be followed, whatever section it is in."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from bait import WORD, Bait

from moorage.answers import fields, model, model_dns, ssl
from moorage.answers.base import AnswersModel
from moorage.answers.recorded import as_values, is_operator_only, read_recorded
from moorage.answers.secrets import FromPrompt, Generated, is_reference


def _everything(value: Any) -> list[Any]:
    """Return a value and all that is in it."""
    found = [value]
    if isinstance(value, AnswersModel):
        inside = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, dict):
        inside = list(value.values())
    else:
        inside = list(value) if isinstance(value, tuple | list) else []
    for each in inside:
        found += _everything(each)
    return found


@pytest.fixture
def said(tmp_path: Path) -> dict[str, Any]:
    """Answers with bait everywhere."""
    bait = Bait(tmp_path)
    bait.close()
    return bait.answers({"host": "one.example.test"}, {"host": "two.example.test"})


def test_recorded_answers_have_no_reference_path_or_server(said: dict[str, Any]) -> None:
    read = read_recorded(said)
    values = as_values(read)

    assert read.answers.servers == ()
    left = [each for each in _everything(read.answers) if is_reference(each)]
    assert left
    assert {type(each) for each in left} == {FromPrompt, Generated}
    assert WORD not in str(read.answers)
    assert WORD not in json.dumps(values)
    assert [each.destination for each in read.servers] == ["one.example.test", "two.example.test"]
    assert read.unconfirmed["hooks", 0, "script"].endswith("baited-hook.sh")
    assert read.unconfirmed["dns", "provider"] == "rfc2136"


@pytest.mark.parametrize("kind", ["env", "file", "command", "keyring"])
def test_every_kind_of_reference_becomes_a_prompt(said: dict[str, Any], kind: str) -> None:
    reference = {kind: ["touch", "x"] if kind == "command" else "X"}
    said["storage"]["s3"] |= {"accesskey": reference, "secretkey": reference}
    said["dns"] = {"provider": "lexicon", "lexicon": {"name": "gandi", "options": {"a": reference}}}

    read = read_recorded(said)

    assert read.answers.storage.s3 is not None
    assert read.answers.storage.s3.accesskey == FromPrompt(prompt=True)
    assert read.unconfirmed["dns", "lexicon", "options"] == {"a": {"prompt": True}}


def test_every_local_path_is_operator_only() -> None:
    """A field that is added later with a path of this machine is left unconfirmed by default."""
    models = [
        each
        for module in (model, model_dns, ssl)
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, AnswersModel)
    ]
    own = {(each.__name__, name) for each in models
           for name, field in each.model_fields.items() if is_operator_only(field)}  # fmt: skip

    assert fields.OPERATOR_ONLY in fields.LocalPath.__metadata__  # type: ignore[attr-defined]
    assert {
        ("Registry", "image_archive"), ("Server", "key"), ("Hook", "script"), ("Acme", "ca_file"),
        ("CertificateFiles", "certificate"), ("CertificateFiles", "key"), ("Dns", "provider"),
        ("Dns", "nameservers"), ("Rfc2136", "server"), ("Route53", "endpoint"),
        ("Route53", "profile"), ("Lexicon", "options"),
    } <= own  # fmt: skip


def test_settings_are_data_even_where_they_look_like_a_reference(said: dict[str, Any]) -> None:
    said["registry"]["settings"] = {"log": {"fields": {"command": ["touch", "x"]}}}

    read = read_recorded(said)

    assert read.answers.registry.settings == said["registry"]["settings"]


def test_recorded_answers_nested_too_deeply_are_ignored(said: dict[str, Any]) -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"a": deep}
    said["registry"]["settings"] = deep

    with pytest.raises(ValueError, match="nested too deeply"):
        read_recorded(said)
