from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from answers_strategies import answers
from hypothesis import HealthCheck, given
from hypothesis import settings as run_with

from moorage.answers.load import load, loads
from moorage.answers.model import Answers
from moorage.answers.save import dump, save
from moorage.answers.secrets import FromPrompt, Secret, Typed
from moorage.errors import MoorageError

SMALL: dict[str, Any] = {
    "version": 1,
    "registry": {"domain": "registry.example.com"},
    "servers": [{"host": "203.0.113.10"}],
    "credentials": {"users": [{"name": "ana", "password": {"generate": True}}]},
}


def small(**changes: Any) -> Answers:
    return Answers.model_validate({**SMALL, **changes})


@run_with(suppress_health_check=list(HealthCheck))
@given(answers())
def test_dumped_answers_load_unchanged(original: Answers) -> None:
    assert loads(dump(original)) == original


@run_with(suppress_health_check=list(HealthCheck))
@given(answers())
def test_the_pure_python_parser_loads_dumped_answers_equally(original: Answers) -> None:
    text = dump(original)
    assert yaml.load(text, yaml.SafeLoader) == yaml.load(text, yaml.CSafeLoader)


@pytest.mark.parametrize("value", [
    None, True, 0, -1, 2**63 - 1, 1.5, 1e300, "", "no", "1e3", "a\nb\n", "\t", "\x07", [], {}, [[]],
    {"a": {"b": [1, "1", None]}}, {"": "", "no": "no", "1": 1},
])  # fmt: skip
def test_settings_keep_their_types(value: object) -> None:
    answers = small(registry={**SMALL["registry"], "settings": {"key": value}})
    again = loads(dump(answers)).registry.settings["key"]
    assert again == value
    assert type(again) is type(value)


def test_the_file_begins_with_the_schema_comment_and_the_version() -> None:
    lines = dump(small()).splitlines()
    assert lines[0].startswith("# yaml-language-server: $schema=")
    assert lines[1] == "version: 1"


def test_defaults_are_omitted_except_for_a_few() -> None:
    assert yaml.safe_load(dump(small())) == {
        "version": 1,
        "registry": {"domain": "registry.example.com", "runtime": "package"},
        "servers": [{"host": "203.0.113.10"}],
        "credentials": {"users": [{"name": "ana", "password": {"generate": True}}]},
        "storage": {"driver": "filesystem"},
        "dns": {"provider": "manual"},
        "ssl": {"mode": "private_ca"},
    }


def test_sections_are_in_the_order_of_the_model() -> None:
    data = yaml.safe_load(dump(small(rollout="all_at_once", ask=["ssl"])))
    model = [name for name in Answers.model_fields if name in data]
    assert list(data) == model


def test_a_typed_secret_is_saved_as_a_prompt() -> None:
    users = [{"name": "ana", "password": Typed(Secret("hunter2-hunter2"))}]
    text = dump(small(credentials={"users": users}))
    assert "hunter2" not in text
    assert loads(text).credentials.users[0].password == FromPrompt(True)


def test_a_saved_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "moorage.yml"
    path.write_text("old")
    path.chmod(0o644)
    save(small(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path) == small()
    assert [each.name for each in tmp_path.iterdir()] == ["moorage.yml"]


def test_saving_keeps_a_symbolic_link(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "real.yml"
    target.parent.mkdir()
    link = tmp_path / "moorage.yml"
    link.symlink_to(target)
    save(small(), link)
    assert link.is_symlink()
    assert load(target) == small()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "moorage.yml"
    path.write_text("old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("moorage.answers.save.os.fsync", no_space)
    with pytest.raises(MoorageError, match="no space left on device"):
        save(small(), path)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["moorage.yml"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MoorageError, match="cannot be written: no such file or directory"):
        save(small(), tmp_path / "missing" / "moorage.yml")
