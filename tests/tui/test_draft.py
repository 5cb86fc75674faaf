import stat
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import yaml

from moorage.answers.load import load
from moorage.answers.secrets import Hash, Secret, Typed
from moorage.errors import AnswersError
from moorage.recents import applied_file
from moorage.users.passwords import verify_password
from tui.document import store
from tui.document.draft import Draft
from tui.document.paths import parse_path
from tui.document.reading import open_path
from tui.document.saving import write_answers
from tui.document.steps import Step
from tui.events import EventQueue
from tui.wizard_session import WizardSession

PASSWORD = "correct horse battery"


def finished() -> Draft:
    draft = Draft.new()
    draft.set("registry.domain", "registry.example.com")
    draft.append("servers", {"host": "192.0.2.1", "port": "2222"})
    return draft


def test_a_new_draft_needs_only_a_name_and_a_server() -> None:
    assert [problem.dotted for problem in Draft.new().problems] == ["registry.domain", "servers"]


def test_a_finished_draft_becomes_answers() -> None:
    answers = finished().answers()
    assert answers.servers[0].port == 2222


def test_an_unfinished_draft_lists_everything_missing() -> None:
    with pytest.raises(AnswersError) as caught:
        Draft.new().answers()
    assert len(caught.value.problems) == 2


def test_paths_with_indexes_are_read_and_written() -> None:
    assert parse_path("servers[0].host") == ("servers", 0, "host")
    draft = Draft()
    draft.append("servers", {"host": "a"})
    draft.set("servers[0].user", "root")
    assert draft.data == {"servers": [{"host": "a", "user": "root"}]}
    draft.remove("servers[0]")
    assert draft.items("servers") == []


def test_blank_text_means_the_default() -> None:
    draft = finished()
    draft.put_text("registry.port", "8443")
    draft.put_text("registry.port", "  ")
    assert draft.answers().registry.port == 443


def test_values_of_the_other_driver_are_saved_but_not_used() -> None:
    draft = finished()
    draft.set("storage.s3", {"bucket": "!"})
    assert not draft.problems
    draft.set("storage.driver", "s3")
    assert draft.problem_at("storage.s3.bucket")


def test_an_unknown_registry_setting_is_a_problem() -> None:
    draft = finished()
    draft.set("registry.settings", {"lgo": {"level": "info"}})
    assert draft.problem_at("registry.settings")


@pytest.mark.parametrize("value", ["", "[red]x[/red]", "x" * 10_000, "\x1b[31m", "a\nb", "é ünï"])
def test_hostile_names_are_rejected_with_a_message_and_stay_in_the_draft(value: str) -> None:
    draft = finished()
    draft.set("registry.domain", value)
    problem = draft.problem_at("registry.domain")
    assert problem is not None
    assert (
        "must" in problem.message
        or "characters" in problem.message
        or "expected" in problem.message
    )
    assert draft.get("registry.domain") == value


def test_a_saved_draft_is_restored_without_secrets(tmp_path: Path) -> None:
    draft = finished()
    draft.set("credentials.users[0].password", Typed(Secret(PASSWORD)))
    path = store.new_draft_file()
    store.keep_draft(path, draft, of=tmp_path / "moorage.yml", visited={Step.DNS})
    assert PASSWORD not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = store.read_draft(path)
    back = kept.draft
    assert kept.of == tmp_path / "moorage.yml"
    assert kept.visited == ("dns",)
    assert back.get("credentials.users[0].password") == {"prompt": True}
    assert back.get("registry.domain") == "registry.example.com"


def test_a_typed_password_is_saved_as_its_hash(tmp_path: Path) -> None:
    draft = finished()
    draft.set("credentials.users[0].password", Typed(Secret(PASSWORD)))
    path = tmp_path / "moorage.yml"
    write_answers(draft, path)
    assert PASSWORD not in path.read_text()
    saved = load(path).credentials.users[0].password
    assert isinstance(saved, Hash)
    assert verify_password(Secret(PASSWORD), saved.hash)
    assert isinstance(draft.get("credentials.users[0].password"), Typed)


def test_saved_answers_load_unchanged(tmp_path: Path) -> None:
    draft = finished()
    draft.set("storage", {"driver": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}})
    path = tmp_path / "moorage.yml"
    write_answers(draft, path)
    assert open_path(path).draft.answers() == draft.answers()


def test_an_unfinished_draft_is_saved_as_it_is(tmp_path: Path) -> None:
    draft = Draft.new()
    draft.set("registry.domain", "not a name")
    path = tmp_path / "moorage.yml"
    write_answers(draft, path)
    opened = open_path(path)
    assert opened.draft.text("registry.domain") == "not a name"
    assert yaml.safe_load(path.read_text())["version"] == 1


def test_unsaved_changes_are_found_when_the_file_is_opened(tmp_path: Path) -> None:
    draft = finished()
    path = tmp_path / "moorage.yml"
    write_answers(draft, path)
    draft.set("registry.domain", "other.example.com")
    store.keep_draft(store.draft_file_for(path), draft, of=path)
    unsaved = open_path(path).unsaved
    assert unsaved is not None
    assert unsaved.domain == "other.example.com"


def test_recents_keep_files_that_are_gone_but_not_drafts(tmp_path: Path) -> None:
    path = tmp_path / "moorage.yml"
    path.write_text("version: 1")
    store.remember(path, "registry.example.com", state="applied")
    store.remember(path, "registry.example.com")
    assert [each.state for each in store.recents()] == ["applied"]
    assert not store.recents()[0].is_missing
    path.unlink()
    (missing,) = store.recents()
    assert missing.is_missing
    assert not missing.may_have_users
    store.forget(path)
    draft = store.new_draft_file()
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text("version: 1")
    store.remember(draft, "registry.example.com", is_draft=True)
    assert len(store.recents()) == 1
    draft.unlink()
    assert store.recents() == []


def test_invalid_recents_are_ignored() -> None:
    store.private_folder()
    (store.private_folder() / "recents.json").write_text('[{"x": 1}]')
    assert store.recents() == []


def test_a_deployed_registry_is_no_draft_while_its_name_is_edited(tmp_path: Path) -> None:
    saved = Draft({"registry": {"domain": "applied.example.com"}})
    applied = applied_file("applied.example.com")
    applied.parent.mkdir(parents=True, exist_ok=True)
    applied.write_text("version: 1\n")
    session = WizardSession(
        Draft({"registry": {"domain": "not valid"}}),
        MagicMock(),
        EventQueue(),
        tmp_path / "draft.yml",
        saved=saved.without_secrets(),
    )
    assert session.saved_state == "not saved"
