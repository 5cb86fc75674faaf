from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage.answers.describe import describe
from moorage.answers.load import load
from moorage.answers.reference import updated
from moorage.answers.save import dump
from moorage.answers.schema import json_schema, sections
from moorage.registry_keys import check_registry

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yml"))

jsonschema = pytest.importorskip("jsonschema")


def validator() -> Any:
    return jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_valid_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$id"] == "urn:moorage:answers:1"


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid(path: Path) -> None:
    answers = load(path)
    assert check_registry(answers) == []
    validator().validate(yaml.safe_load(path.read_text()))
    validator().validate(yaml.safe_load(dump(answers)))


def test_the_example_of_everything_has_every_field() -> None:
    text = (ROOT / "docs" / "examples" / "everything.yml").read_text()
    for section in sections().values():
        for name in section.model_fields:
            assert re.search(rf"\b{name}:", text), f"{section.__name__}.{name}"


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("registry", {"domain": "no dots"}),
        ("registry", {"domain": "a.example.com", "prot": 1}),
        ("servers", []),
        ("servers", [{"host": "a", "port": 70000}]),
        ("servers", [{"host": "a", "sudo_password": "clear"}]),
        ("credentials", {"users": [{"name": "a", "password": {"env": "A", "file": "b"}}]}),
        ("storage", {"driver": "floppy"}),
    ],
)
def test_the_schema_rejects_what_moorage_rejects(section: str, value: object) -> None:
    data = yaml.safe_load((ROOT / "docs" / "examples" / "single-server.yml").read_text())
    assert validator().is_valid(data)
    assert not validator().is_valid({**data, section: value})


def test_every_field_is_described() -> None:
    for section in sections().values():
        for name in section.model_fields:
            assert describe(section, name).endswith((".", ")")), f"{section.__name__}.{name}"


def test_the_reference_is_up_to_date() -> None:
    text = (ROOT / "docs" / "answers.md").read_text()
    assert text == updated(text), "run: python -m moorage.answers.reference docs/answers.md"


def test_the_smallest_file_in_the_reference_works() -> None:
    text = (ROOT / "docs" / "answers.md").read_text()
    blocks = re.findall("```yaml\n(.*?)```", text, re.DOTALL)
    assert validator().is_valid(yaml.safe_load(blocks[0]))
