"""Storage middleware sends clients elsewhere, on real registries."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_registry import LAYER, push, running

from moorage.answers.model import Answers
from moorage.deploy.verify.check_results import digest_of
from moorage.desired.registry import config
from moorage.registry_keys import check_registry

pytestmark = pytest.mark.ready


@pytest.mark.parametrize("version", ["2.8", "3.0", "3.1"])
def test_pulls_are_redirected(version: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    program: Path = request.getfixturevalue(f"registry_{version}")
    item = {"name": "redirect", "options": {"baseurl": "https://mirror.example.com/"}}
    answers = Answers.model_validate(
        {
            "registry": {
                "domain": "registry.example.com",
                "version": version,
                "settings": {"middleware": {"storage": [item]}},
            },
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        }
    )
    assert check_registry(answers) == []
    written = config(answers, "blue")
    parts = {
        "middleware": written["middleware"],
        "storage": {"redirect": written["storage"]["redirect"]},
    }

    with running(program, "127.0.0.1", tmp_path, **parts) as client:
        push(client, "team/app", "1")
        answer = client.request("GET", f"/v2/team/app/blobs/{digest_of(LAYER)}")

    assert answer.status == 307
    assert (answer.header("Location") or "").startswith("https://mirror.example.com/")
