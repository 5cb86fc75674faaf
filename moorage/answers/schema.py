"""The JSON Schema of the answers file, for editors and other programs."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from moorage.answers import model, model_dns
from moorage.answers.base import AnswersModel
from moorage.answers.describe import describe
from moorage.answers.model import VERSION, Answers

DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTIFIER = f"urn:moorage:answers:{VERSION}"


class _Generator(GenerateJsonSchema):
    """Leaves out the titles that pydantic derives from field names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an answers file."""
    schema = Answers.model_json_schema(schema_generator=_Generator)
    definitions = schema.get("$defs", {})
    for name, section in sections().items():
        described = schema if section is Answers else definitions.get(name)
        if described is not None:
            _describe(described, section)
    # A file must name its version; in memory there is only the current one.
    schema["required"] = ["version", *schema["required"]]
    return {
        "$schema": DIALECT,
        "$id": IDENTIFIER,
        **schema,
        "title": "Moorage answers",
        "description": "The operator's answers for one deployment of a registry.",
    }


def sections() -> dict[str, type[BaseModel]]:
    """Return the parts of the model by name, in the order of the source."""
    return {
        name: each
        for module in (model, model_dns)
        for name, each in vars(module).items()
        if inspect.isclass(each) and issubclass(each, AnswersModel) and each is not AnswersModel
    }


def _describe(schema: dict[str, Any], section: type[BaseModel]) -> None:
    schema["title"] = re.sub(
        "(?<=[a-z])[A-Z]", lambda capital: f" {capital.group().lower()}", section.__name__
    )
    for name, field in schema.get("properties", {}).items():
        field.pop("title", None)
        description = describe(section, name)
        if description:
            field["description"] = description
