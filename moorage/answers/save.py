"""Write answers as YAML, without any secret in plain text."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from moorage.answers.model import Answers
from moorage.answers.secrets import as_mapping, is_reference
from moorage.errors import MoorageError
from moorage.local_file import expand

HEADER = "# yaml-language-server: $schema=moorage.schema.json\n"
"""Names the schema for editors; ``moorage schema`` prints it."""

# Written even if they have the default value.
_ALWAYS = {"version", "runtime", "driver", "provider", "mode"}
# YAML 1.2 and Go's YAML read these as numbers, PyYAML as text, so quote them.
_NUMBER_ELSEWHERE = re.compile(
    r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)([eE][-+]?[0-9]+)?|0o[0-7]+"
)
_BREAKS = re.compile("[\n\r\x85\u2028\u2029\ufeff]")


def dump(answers: Answers) -> str:
    """Return the answers as an answers file; ``loads`` is the inverse.

    Most defaults are left out. A typed secret becomes ``{prompt: true}``.

    Args:
        answers: The answers.
    """
    text: str = yaml.dump(
        _plain(answers),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=100,
    )
    return HEADER + text


def save(answers: Answers, path: str | Path) -> None:
    """Write the answers atomically to a file that only its owner can read.

    A symbolic link is followed: the file it points to is written.

    Args:
        answers: The answers.
        path: The file.

    Raises:
        MoorageError: The file cannot be written (``cannot_write``).
    """
    save_text(dump(answers), path)


def save_text(text: str, path: str | Path) -> None:
    """Write a text as :func:`save` does.

    Args:
        text: The file's content.
        path: The file.

    Raises:
        MoorageError: The file cannot be written (``cannot_write``).
    """
    target = Path(os.path.realpath(expand(path)))
    try:
        if target.exists() and not target.is_file():
            # A rename would replace even /dev/null.
            raise MoorageError(f"{path} exists, but is not a regular file.", code="cannot_write")
        _replace(target, text.encode())
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        message = f"The file {path} cannot be written: {why}."
        raise MoorageError(message, code="cannot_write") from error


def copy_before(path: Path, revision: int) -> Path:
    """Return where the copy of an answers file is kept that a rollback replaces.

    Args:
        path: The file.
        revision: The revision of the rollback.
    """
    return path.with_name(f"{path.name}.before-revision-{revision}")


def _replace(target: Path, content: bytes) -> None:
    # mkstemp creates the file with mode 0600.
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _InlineMapping(dict[str, Any]):
    """A mapping written in braces."""


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _section(value)
    if is_reference(value):
        return _InlineMapping(as_mapping(value))
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _section(model: BaseModel) -> dict[str, Any]:
    section = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        is_default = not field.is_required() and value == field.get_default(
            call_default_factory=True
        )
        if is_default and name not in _ALWAYS and not _has_always_written_field(value):
            continue
        if value is not None:
            section[name] = _plain(value)
    return section


def _has_always_written_field(value: Any) -> bool:
    return isinstance(value, BaseModel) and not _ALWAYS.isdisjoint(type(value).model_fields)


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, and quotes text that other YAML readers would misread."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if _BREAKS.search(value):
        style = '"'
    elif _NUMBER_ELSEWHERE.fullmatch(value):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _represent_inline(dumper: yaml.SafeDumper, value: _InlineMapping) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_InlineMapping, _represent_inline)
