"""Opening unsaved changes whose answers file was changed meanwhile."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from fake_server import FakeServers
from opening import opened
from walk import ANSWERS

from moorage.answers.save import save
from tui.document import store
from tui.document.draft import Draft
from tui.document.file_changes import changes_since

BASE: dict[str, Any] = {
    "version": 1,
    "based_on": 4,
    "registry": {"domain": "registry.example.com", "port": 443},
    "credentials": {"users": [{"name": "ci", "access": "push"}, {"name": "old"}]},
}


def _changed(**parts: Any) -> dict[str, Any]:
    return copy.deepcopy(BASE) | parts


def test_both_changes_are_merged() -> None:
    users = [{"name": "ci", "access": "pull"}, {"name": "ana"}]
    file = Draft(_changed(based_on=5, credentials={"users": users}))
    mine = [{"name": "ci", "access": "push", "disabled": True}, {"name": "old"}, {"name": "bob"}]
    draft = Draft(
        _changed(registry={"domain": "registry.example.com"}, credentials={"users": mine})
    )

    changes = changes_since(BASE, file, draft)

    assert changes is not None
    assert changes.merged.data == _changed(
        based_on=5,
        registry={"domain": "registry.example.com"},
        credentials={
            "users": [
                {"name": "ci", "access": "pull", "disabled": True},
                {"name": "bob"},
                {"name": "ana"},
            ]
        },
    )
    assert set(changes.places) == {
        "credentials.users.ci.access", "credentials.users.old", "credentials.users.ana",
    }  # fmt: skip
    assert changes.conflicts == ()


def test_a_value_that_both_changed_stays_the_drafts() -> None:
    file = Draft(_changed(registry={"domain": "registry.example.com", "port": 8443}))
    draft = Draft(_changed(registry={"domain": "registry.example.com", "port": 9443}))

    changes = changes_since(BASE, file, draft)

    assert changes is not None
    assert changes.merged.get("registry.port") == 9443
    assert changes.conflicts == ("registry.port",)


def test_there_is_nothing_to_say_if_the_draft_has_the_changes() -> None:
    changed = _changed(registry={"domain": "registry.example.com", "port": 8443})
    assert changes_since(BASE, Draft(changed), Draft(changed)) is None
    assert changes_since(BASE, Draft(BASE), Draft(changed)) is None
    assert changes_since(None, Draft(changed), Draft(BASE)) is None


async def _leave_a_draft(servers: FakeServers, path: Path) -> None:
    save(Draft(ANSWERS).answers(), path)
    async with opened(servers, path=path) as wizard:
        await wizard.see("Servers")
        wizard.app.session.draft.set("rollout", "all_at_once")
        wizard.app.saving.keep_draft()
    # From a shell: moorage users add ana.
    users = [*ANSWERS["credentials"]["users"], {"name": "ana", "password": {"generate": True}}]
    changed = Draft({**ANSWERS, "based_on": 7, "credentials": {"users": users}})
    save(changed.answers(), path)


async def test_the_changes_of_the_file_can_be_taken_over(servers: FakeServers, home: Path) -> None:
    path = home / "moorage.yml"
    await _leave_a_draft(servers, path)
    async with opened(servers, path=path) as wizard:
        await wizard.see("Keep the changes")
        await wizard.press("enter")
        await wizard.see("The file has changed", "user ana", "revision 7")
        await wizard.press("enter")
        await wizard.until(lambda: wizard.app.session is not None, "it is opened")
        draft = wizard.app.session.draft
        assert draft.get("rollout") == "all_at_once"
        assert [each["name"] for each in draft.items("credentials.users")][-1] == "ana"
        assert draft.get("based_on") == 7
        assert not wizard.app.session.is_saved


async def test_the_draft_can_stay_as_it_is_and_is_not_asked_about_again(
    servers: FakeServers, home: Path
) -> None:
    path = home / "moorage.yml"
    await _leave_a_draft(servers, path)
    async with opened(servers, path=path) as wizard:
        await wizard.see("Keep the changes")
        await wizard.press("enter")
        await wizard.see("The file has changed")
        await wizard.press("tab", "enter")
        await wizard.until(lambda: wizard.app.session is not None, "it is opened")
        assert not [
            each for each in wizard.app.session.draft.items("credentials.users")
            if each["name"] == "ana"
        ]  # fmt: skip
        wizard.app.saving.keep_draft()
    kept = store.read_draft(store.draft_file_for(path))
    assert kept.base is not None
    assert kept.base["based_on"] == 7
