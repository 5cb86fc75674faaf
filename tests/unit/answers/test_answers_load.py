from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from moorage.answers.load import load, load_draft, loads, loads_draft, validate
from moorage.answers.model import Answers
from moorage.answers.secrets import FromEnvironment
from moorage.errors import AnswersError, MoorageError, Problem
from moorage.registry_keys import check_settings

GOOD = """\
version: 1
registry:
  domain: registry.example.com
servers:
  - host: 203.0.113.10
credentials:
  users:
    - {name: ana, access: push, password: {env: ANA_PASSWORD}}
"""


def problems_of(text: str) -> list[Problem]:
    with pytest.raises(AnswersError) as raised:
        loads(text, "moorage.yml")
    return list(raised.value.problems)


def only_problem_of(text: str) -> Problem:
    (problem,) = problems_of(text)
    return problem


def test_a_valid_file_loads() -> None:
    answers = loads(GOOD)
    assert answers.registry.domain == "registry.example.com"
    assert answers.credentials.users[0].password == FromEnvironment("ANA_PASSWORD")


def test_an_environment_can_be_a_list_as_in_compose_files() -> None:
    lines = '["REGISTRY_LOG_LEVEL=debug", "NO_PROXY=a,b", "HTTP_PROXY=http://p:1/?a=b", "TZ="]'
    answers = loads(GOOD.replace("registry:", f"registry:\n  environment: {lines}"))
    assert answers.registry.environment == {
        "REGISTRY_LOG_LEVEL": "debug",
        "NO_PROXY": "a,b",
        "HTTP_PROXY": "http://p:1/?a=b",
        "TZ": "",
    }


def test_all_problems_are_listed_in_the_order_of_the_file() -> None:
    text = (
        GOOD.replace("domain:", "domian:")
        .replace("host: 203.0.113.10", "{host: a, prot: 1}")
        .replace("access: push", "access: psuh")
    )
    told = [(problem.dotted, problem.line, problem.column) for problem in problems_of(text)]
    assert told == [
        ("registry.domain", 2, 1),
        ("registry.domian", 3, 3),
        ("servers[0].prot", 5, 15),
        ("credentials.users[0].access", 8, 27),
    ]


def test_a_problem_has_the_form_of_a_compiler_error() -> None:
    text = GOOD.replace("domain: registry", "domain: registry..")
    assert str(only_problem_of(text)) == (
        "moorage.yml:3:11: registry.domain: must be a DNS name such as registry.example.com"
    )


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("domain:", "domian:", "registry.domian", "did you mean domain?"),
        ("domain: registry", "zzz: 1\n  domain: registry", "registry.zzz", "known keys: domain,"),
        ("domain: registry.example.com", "domain: 5", "registry.domain", "reads this as a number"),
        ("domain: registry.example.com", "domain:", "registry.domain", "empty; expected the"),
        ("domain: registry.example.com", "domain: [a]", "registry.domain", "not a list"),
        ("name: ana", "name: no", "credentials.users[0].name", "; write 'no'"),
        ("name: ana", "name: ana, name: ana", "credentials.users[0].name", "first one is on line"),
        ("access: push", "access: Push", "credentials.users[0].access",
         "must be push or pull, not 'Push'"),
        ("access: push", "access: no", "credentials.users[0].access", "must be push or pull"),
        ("host: 203.0.113.10", "host", "servers[0]", "must be a section with host"),
        ("\n  - host: 203.0.113.10", " []", "servers", "is empty; expected a list"),
        ("\n  - host: 203.0.113.10", " a", "servers", "must be a list, each item on its"),
        ("host: 203.0.113.10", "{host: a, port: yes}", "servers[0].port", "a whole number"),
        ("host: 203.0.113.10", "{host: a, port: 0}", "servers[0].port", "at least 1, not 0"),
        ("host: 203.0.113.10", "{host: a, port: 1.5}", "servers[0].port", "a whole number"),
        ("host: 203.0.113.10", "{host: a, port: 9999999999}", "servers[0].port", "at most 65535"),
        ("host: 203.0.113.10", f"{{host: a, port: {'9' * 9000}}}", "servers[0].port", "too large"),
        ("host: 203.0.113.10", "{host: a, port: 22:22}", "servers[0].port", "a whole number"),
        ("host: 203.0.113.10", "{host: a, key: ''}", "servers[0].key", "is empty"),
        ("host: 203.0.113.10", '{host: a, key: "a\\nb"}', "servers[0].key", "line breaks"),
        ("  - host", "  - {host: 203.0.113.10, port: 2222}\n  - host", "servers[1].host",
         "its own alias"),
        ("version: 1\n", "", "version", "add a line 'version: 1'"),
        ("version: 1", "version:", "version", "add a line 'version: 1'"),
        ("version: 1", "version: 2", "version", "upgrade Moorage"),
        ("version: 1", "version: '1'", "version", "without quotes"),
        ("version: 1", "version: true", "version", "without quotes"),
        ("registry:", "registry:\n  settings: {5: x}", "registry.settings", "put it in quotes"),
        ("registry:", "registry:\n  settings: {a: !x y}", "registry.settings.a", "unknown YAML"),
        ("registry:", "registry:\n  settings: 5", "registry.settings", "must be keys and values"),
        ("registry:", "registry:\n  environment: {REGISTRY_A: }", "registry.environment.REGISTRY_A",
         'write "" for an empty one'),
        ("registry:", "registry:\n  environment: {LOG: a}", "registry.environment.LOG",
         "begins with REGISTRY_"),
        ("registry:", "registry:\n  environment: [REGISTRY_LOG_LEVEL]", "registry.environment[0]",
         "must be NAME=value"),
        ("registry:", "registry:\n  environment: [TZ=UTC, TZ=UTC]", "registry.environment[1]",
         "sets TZ a second time"),
        ("servers:", "storage: {driver: s3}\nservers:", "storage.s3", "needs a section s3"),
        ("servers:", "ssl: {mode: files}\nservers:", "ssl.files", "needs a section files"),
        ("servers:", "ask: [strage]\nservers:", "ask[0]", "must be servers, credentials"),
        ("  - host", "  - host: b\n  - host", "storage.driver", "Use the driver s3"),
        *(
            ("servers:", f"storage: {{filesystem: {{path: {folder}/x}}}}\nservers:",
             "storage.filesystem.path", f"{folder}/x cannot store images: {folder} is")
            for folder in ("/proc", "/sys", "/run", "/var/run", "/tmp", "/var/tmp")
        ),
        ("servers:", "storage: {filesystem: {path: /dev/shm/x}}\nservers:",
         "storage.filesystem.path", "/dev holds device files"),
    ],
)  # fmt: skip
def test_each_mistake_has_a_plain_message(old: str, new: str, path: str, words: str) -> None:
    told = problems_of(GOOD.replace(old, new, 1))
    found = [problem for problem in told if problem.dotted == path]
    assert found, [str(problem) for problem in told]
    assert words in found[0].message
    assert found[0].line is not None
    for problem in told:
        assert "invalid" not in problem.message.lower()
        assert "!" not in problem.message
        assert "please" not in problem.message.lower()
        assert "Input should" not in problem.message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "is empty"),
        ("# only a comment\n", 1, "is empty"),
        ("- a", 1, "is a list"),
        ("5", 1, "is a single value"),
        ("a: [1", 2, "missing"),
        ("a:\n\tb: 1", 2, "indented with a tab"),
        ("a: b: c", 1, "a second colon"),
        ('a: "\\q"', 1, "double a backslash"),
        ("a: @b", 1, "begins with @, ` or % in quotes"),
        ("a: *b", 1, "begins with * in quotes"),
        ('a: "b', 1, "is not closed"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("a: \x00", 1, "U+0000"),
        ("[" * 3000, 2, ""),
        ("a: " * 3, 1, "a second colon"),
    ],
)
def test_each_yaml_error_has_a_plain_message(text: str, line: int, words: str) -> None:
    problem = only_problem_of(text)
    assert words in problem.message
    assert problem.line in {1, line}


def test_alias_bombs_are_rejected() -> None:
    bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
    for name, below in zip("bcdefghi", "abcdefgh", strict=True):
        bomb += f"{name}: &{name} [{','.join([f'*{below}'] * 10)}]\n"
    assert "20000 values" in only_problem_of(bomb).message


def test_a_recursive_value_is_rejected() -> None:
    problem = only_problem_of("a: &a [*a]")
    assert "contains itself" in problem.message
    assert problem.dotted == "a[0]"
    settings = GOOD.replace("registry:", "registry: &all\n  settings: *all")
    problem = only_problem_of(settings)
    assert (problem.dotted, problem.line) == (
        "registry.settings",
        settings[: settings.index("&all")].count("\n") + 1,
    )


def test_an_alias_and_a_merge_work() -> None:
    text = GOOD.replace(
        "  - host: 203.0.113.10",
        "  - &first {host: a, user: deploy, port: 22}\n  - {<<: *first, host: b}",
    )
    text += "storage: {driver: s3, s3: {bucket: images, region: eu}}\n"
    first, second = loads(text).servers
    assert (first.host, second.host) == ("a", "b")
    assert (second.user, second.port) == ("deploy", 22)


def test_a_date_in_the_settings_stays_text() -> None:
    text = GOOD.replace("registry:", "registry:\n  settings: {a: 2026-01-01, b: 12:30:45}")
    assert loads(text).registry.settings == {"a": "2026-01-01", "b": "12:30:45"}


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "written",
    [
        f"password: {SECRET}",
        f"password: [{SECRET}]",
        f"password: {{{SECRET}: true}}",
        f"password: {{env: '{SECRET}'}}",
        f"password: {{hash: {SECRET}}}",
        f"password: {{prompt: {SECRET}}}",
        f"password: {{command: {SECRET}}}",
        f"password: {{file: 5, env: {SECRET}}}",
        f"password: *{SECRET}",
        f"password: !{SECRET} x",
        f"password: @{SECRET}",
        f"password: '{SECRET}",
        f"password: a: {SECRET}",
        f"pasword: {SECRET}",
        f"access: {SECRET}",
        f"name: '{SECRET} {SECRET}'",
    ],
)
def test_an_error_never_repeats_a_value(written: str) -> None:
    text = GOOD.replace("password: {env: ANA_PASSWORD}", written)
    for problem in problems_of(text):
        assert SECRET not in str(problem)


def test_a_draft_has_what_could_be_read_and_the_problems() -> None:
    draft = loads_draft("version: 1\nregistry: {domain: a.example.com}\nservers: []\n")
    assert draft.answers is None
    assert draft.data["registry"] == {"domain": "a.example.com"}
    assert [problem.dotted for problem in draft.problems] == ["credentials", "servers"]


def test_problems_found_elsewhere_are_located_in_the_file() -> None:
    text = GOOD.replace("registry:", "registry:\n  settings:\n    log: {level: loud}")
    loaded = loads_draft(text, "moorage.yml")
    (problem,) = loaded.locate(check_settings(loaded.data["registry"]["settings"], ["3.1"]))
    assert str(problem) == (
        "moorage.yml:4:18: registry.settings.log.level: must be error, warn, info or debug"
    )


def test_a_dictionary_gets_the_same_messages() -> None:
    answers, problems = validate({"version": 1, "registry": {"domian": "a.example.com"}})
    assert answers is None
    assert "did you mean domain?" in " ".join(problem.message for problem in problems)


def test_problems_of_files_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "moorage.yml"
    path.write_bytes(b"version: 1\nregistry: {domain: \xff}\n")
    problem = load_draft(path).problems[0]
    assert (problem.file, problem.line, problem.column) == (str(path), 2, 20)
    assert "UTF-8" in problem.message


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "moorage.yml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(path) == loads(GOOD)


def test_a_huge_file_is_rejected_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "moorage.yml"
    path.write_bytes(b"a: " + b"b" * 10_000_000)
    assert "larger than 8 MB. Thousands of users" in load_draft(path).problems[0].message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MoorageError, match="cannot be read: no such file or directory"):
        load(tmp_path / "moorage.yml")
    with pytest.raises(MoorageError, match="is a directory"):
        load(tmp_path)


def test_windows_line_endings_are_accepted() -> None:
    assert loads(GOOD.replace("\n", "\r\n")) == loads(GOOD)


_scalars = st.sampled_from(
    ["1", "no", "null", "a", "''", "[]", "{}", "~", "2026-01-01", "1.5", "!!binary eA==", "*a",
     "&a 1", "{env: A}", "{env: 5}", "[1, {a: b}]", "0x", "1_0", "!!set {a}", "? a"]
)  # fmt: skip
_keys = st.sampled_from([*Answers.model_fields, "host", "name", "users", "s3", "mode", "<<", "5"])
_yaml = st.recursive(
    _scalars,
    lambda inner: (
        st.dictionaries(_keys, inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
        | st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
    ),
    max_leaves=12,
)
_sections = st.dictionaries(_keys, _yaml, max_size=8).map(
    lambda items: "version: 1\n" + "".join(f"{key}: {value}\n" for key, value in items.items())
)


@run_with(suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        _sections, _yaml, st.text(max_size=80), st.text("{}[]:-,&*!|>'\"%@ \n\ta", max_size=40)
    )
)
@example("{<<: 5}")
@example("{<<: [5, {a: b}]}")
@example("? {a: b}\n: c")
@example("a: &a {<<: *a}")
@example("!!python/object:os.system {}")
@example("a: 0o")
@example("a: -0b")
@example("a: 0x_")
@example("a: .")
@example("a: 1__0.0")
@example("version: 1\ncredentials: {users: {name: a}}")
@example("version: 1\nstorage: []\nservers: 5")
def test_any_invalid_text_raises_answers_error(text: str) -> None:
    with contextlib.suppress(AnswersError):
        loads(text)


def test_thousands_of_users_are_accepted() -> None:
    users = [{"name": f"user{number}", "password": {"generate": True}} for number in range(10_000)]
    document = {
        "version": 1,
        "registry": {"domain": "registry.example.com"},
        "servers": [{"host": "one"}],
        "credentials": {"users": users},
    }
    assert len(loads(json.dumps(document)).credentials.users) == 10_000
