"""The registry's settings and variables are checked in answers with other problems, too."""

from __future__ import annotations

import pytest

from moorage.answers.load import loads_draft
from moorage.registry_keys import check_loaded

GOOD = """\
version: 1
registry:
  domain: registry.example.com
  runtime: docker
servers: [{host: 203.0.113.10}]
credentials: {users: [{name: ana, password: {env: ANA}}]}
"""
WRONG = GOOD.replace("registry.example.com", "nodots")


def problems_of(text: str) -> dict[str, str]:
    """Return the problems of a text by path."""
    return {problem.dotted: problem.message for problem in check_loaded(loads_draft(text, "a.yml"))}


def with_settings(settings: str, text: str = WRONG) -> str:
    """Return a text with a line below ``registry``."""
    return text.replace("  runtime:", f"  {settings}\n  runtime:")


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("settings: {log: {level: loud}}", "registry.settings.log.level"),
        ("settings: {when: 2020-01-01, log: {level: loud}}", "registry.settings.log.level"),
        ("environment: {REGISTRY_LOG_LEVEL: loud}", "registry.environment.REGISTRY_LOG_LEVEL"),
        ("environment: {NO: 1, REGISTRY_LOG_LEVEL: loud}",
         "registry.environment.REGISTRY_LOG_LEVEL"),
        ("environment: [NO, REGISTRY_LOG_LEVEL=loud]", "registry.environment.REGISTRY_LOG_LEVEL"),
        ("environment: [NO=1, REGISTRY_LOG_LEVEL=loud]", "registry.environment.REGISTRY_LOG_LEVEL"),
        ("environment: [A=1, A=1, REGISTRY_LOG_LEVEL=loud]",
         "registry.environment.REGISTRY_LOG_LEVEL"),
    ],
)  # fmt: skip
def test_they_are_listed_with_the_other_problems(line: str, path: str) -> None:
    found = problems_of(with_settings(line))
    assert "registry.domain" in found
    assert found[path] == "must be error, warn, info or debug"


def test_the_list_is_in_the_order_of_the_file() -> None:
    text = with_settings("settings: {log: {level: loud}}") + "rollout: never\n"
    assert list(problems_of(text)) == ["registry.domain", "registry.settings.log.level", "rollout"]


def test_the_values_of_s3_are_checked_too() -> None:
    found = problems_of(WRONG + "storage: {driver: s3, s3: {bucket: x, region: mars}}\n")
    assert set(found) == {"registry.domain", "storage.s3.bucket", "storage.s3.region"}


def test_settings_of_an_unknown_version_can_be_those_of_any() -> None:
    settings = "settings: {tags: {concurrencylimit: 5}, log: {level: loud}}"
    of_2_8 = with_settings(settings).replace("runtime: docker", "runtime: package")
    unknown = with_settings(settings).replace("runtime: docker", "runtime: dock")
    on_a_server = unknown.replace("203.0.113.10", "203.0.113.10, runtime: dock")
    assert any(path.startswith("registry.settings.tags") for path in problems_of(of_2_8))
    for text in (unknown, on_a_server):
        found = problems_of(text)
        assert "registry.settings.log.level" in found
        assert not [path for path in found if path.startswith("registry.settings.tags")]


def test_nothing_is_missing_from_settings_that_could_not_be_read() -> None:
    # The address may be in a variable whose value is invalid.
    line = "settings: {storage: {cache: {blobdescriptor: redis}}}"
    variable = "\n  environment: {REGISTRY_REDIS_ADDR: }"
    without = with_settings(line, GOOD)
    assert problems_of(without)
    found = problems_of(with_settings(line + variable))
    assert set(found) == {"registry.domain", "registry.environment.REGISTRY_REDIS_ADDR"}


@pytest.mark.parametrize(
    "text",
    ["", "a", "[]", "version: 2\nregistry: {settings: {x: 1}}", "version: 1\nregistry: 5",
     "version: 1\nregistry: {settings: 5, environment: 7}\nservers: [5, {}]\nstorage: [a]",
     "version: 1\nregistry: {settings: {a: !x y}}", "version: 1\nstorage: {driver: s3, s3: 5}"],
)  # fmt: skip
def test_any_draft_can_be_checked(text: str) -> None:
    paths = [problem.path for problem in check_loaded(loads_draft(text))]
    assert paths
    assert len(paths) == len(set(paths))


def test_a_problem_keeps_its_code_and_the_field_to_look_at() -> None:
    line = "environment: {REGISTRY_STORAGE_S3_REGION: x}"
    (problem,) = check_loaded(loads_draft(with_settings(line, GOOD)))
    assert (problem.code, problem.fields) == ("owned", ("storage.s3.region",))
