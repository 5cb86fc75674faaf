"""Write the reference of all fields for docs/answers.md.

``python -m moorage.answers.reference docs/answers.md`` updates the file.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from moorage.answers.schema import json_schema

BEGIN = "<!-- The rest is written by: python -m moorage.answers.reference docs/answers.md -->\n"


def reference() -> str:
    """Return a Markdown table for each section of the answers, in the order of the model."""
    schema = json_schema()
    parts = [_table("The file", schema)]
    parts += [_table(f"`{path}`", section) for path, section in _below(schema, schema, "")]
    return "\n".join(parts)


def updated(text: str) -> str:
    """Return a document with the part after the marker regenerated."""
    return text.partition(BEGIN)[0] + BEGIN + "\n" + reference()


def _below(
    section: dict[str, Any], schema: dict[str, Any], above: str
) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, field in section["properties"].items():
        target, is_list = _section(field)
        if target:
            described = schema["$defs"][target]
            path = f"{above}{name}" + ("[]" if is_list else "")
            found.append((path, described))
            found += _below(described, schema, f"{path}.")
    return found


def _section(field: dict[str, Any]) -> tuple[str, bool]:
    """Return the name of a field's section, and whether the field is a list of them."""
    for each in [field, *field.get("anyOf", [])]:
        if "$ref" in each:
            return each["$ref"].rpartition("/")[2], False
    inner = field.get("items", {})
    return (inner["$ref"].rpartition("/")[2], True) if "$ref" in inner else ("", False)


def _table(title: str, section: dict[str, Any]) -> str:
    lines = [
        f"## {title}",
        "",
        inspect.cleandoc(section.get("description", "")),
        "",
        "| field | what it is | default | what it is for |",
        "|---|---|---|---|",
    ]
    required = section.get("required", [])
    for name, field in section["properties"].items():
        default = "**required**" if name in required else _default(field)
        description = " ".join(field.get("description", "").split())
        cells = [f"`{name}`", _kind(field), default, description]
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if not isinstance(value, dict) else ""


def _kind(field: dict[str, Any]) -> str:
    if _section(field)[0]:
        return "list of sections" if _section(field)[1] else "section"
    kinds = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    return " or ".join(_one(kind) for kind in kinds)


def _one(kind: dict[str, Any]) -> str:
    if "oneOf" in kind:
        is_password = any("hash" in each["properties"] for each in kind["oneOf"])
        return "[password](#secrets)" if is_password else "[secret](#secrets)"
    choices = kind.get("enum", [kind["const"]] if "const" in kind else [])
    if choices:
        return ", ".join(dict.fromkeys(f"`{each}`" for each in choices))
    if kind.get("type") == "integer":
        return _limits(kind)
    if kind.get("type") == "array":
        return f"list of {_one(kind['items'])}"
    if "patternProperties" in kind:
        return "names and values"
    return {"boolean": "true or false", "object": "keys and values"}.get(
        str(kind.get("type")), "text"
    )


def _limits(kind: dict[str, Any]) -> str:
    least, most = kind.get("minimum"), kind.get("maximum")
    if least is not None and most is not None:
        return f"number, {least} to {most}"
    return f"number, at least {least}" if least is not None else "number"


def main() -> None:
    """Update the file named on the command line."""
    path = Path(sys.argv[1])
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
