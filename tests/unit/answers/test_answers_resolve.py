from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from patience import slowness

from moorage.answers.load import loads
from moorage.answers.resolve import Resolver, check_available, references
from moorage.answers.secrets import (
    FromCommand,
    FromEnvironment,
    FromFile,
    FromKeyring,
    FromPrompt,
    Secret,
    SecretReference,
    Typed,
)
from moorage.errors import ExitCode, Problem, SecretName, SecretUnavailable

WHERE = "credentials.users[0].password"


def nobody(what: SecretName, server: str | None) -> Secret | None:
    return None


def resolved(reference: SecretReference, timeout: float = 120) -> str:
    return Resolver(nobody, timeout=timeout).resolve(reference, WHERE).reveal()


def failure(reference: SecretReference, timeout: float = 120) -> SecretUnavailable:
    with pytest.raises(SecretUnavailable) as raised:
        resolved(reference, timeout)
    assert WHERE in raised.value.fields
    assert raised.value.exit_code is ExitCode.USAGE
    return raised.value


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOORAGE_TEST", "s3cret")
    assert resolved(FromEnvironment("MOORAGE_TEST")) == "s3cret"
    monkeypatch.setenv("MOORAGE_TEST", "")
    assert "MOORAGE_TEST is empty" in str(failure(FromEnvironment("MOORAGE_TEST")))
    monkeypatch.delenv("MOORAGE_TEST")
    assert "MOORAGE_TEST is not set" in str(failure(FromEnvironment("MOORAGE_TEST")))


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\nmore\n", b"s3cret\n\xff"])
def test_the_first_line_of_a_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert resolved(FromFile(str(tmp_path / "secret"))) == "s3cret"


def test_a_file_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret").write_text(" s3cret ")
    assert resolved(FromFile("~/secret")) == " s3cret "


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"\nx", "is empty"), (b"x" * 70_000, "longer than 64 kB"),
     (b"\xff\xfe", "is not UTF-8")],
)  # fmt: skip
def test_a_file_without_a_secret(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert words in str(failure(FromFile(str(tmp_path / "secret"))))


def test_a_missing_secret_file(tmp_path: Path) -> None:
    assert "no such file" in str(failure(FromFile(str(tmp_path / "missing"))))
    assert "is a directory" in str(failure(FromFile(str(tmp_path))))


def test_a_file_that_others_can_read_is_used_with_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret")
    notices: list[str] = []
    path.chmod(0o600)
    Resolver(nobody, notices.append).resolve(FromFile(str(path)), WHERE)
    assert notices == []
    path.chmod(0o644)
    Resolver(nobody, notices.append).resolve(FromFile(str(path)), WHERE)
    assert len(notices) == 1
    assert "chmod 600" in notices[0]
    assert "s3cret" not in notices[0]


def python(code: str) -> FromCommand:
    return FromCommand((sys.executable, "-c", code))


def test_the_first_line_of_a_commands_output() -> None:
    assert resolved(python("print('s3cret'); print('more')")) == "s3cret"


def test_no_shell_reads_a_command() -> None:
    assert resolved(FromCommand(("echo", "$(id) > /tmp/x; `id`"))) == "$(id) > /tmp/x; `id`"


def test_a_failing_commands_error_has_its_status_but_not_its_output() -> None:
    error = failure(python("import sys; print('s3cret'); sys.exit('leak'); 'argument'"))
    assert "exited with status 1" in str(error)
    for word in ("s3cret", "leak", "argument"):
        assert word not in str(error)


def test_a_missing_command() -> None:
    assert "was not found on this machine" in str(
        failure(FromCommand(("moorage-no-such-program",)))
    )


def test_a_command_that_prints_nothing() -> None:
    assert "is empty" in str(failure(FromCommand(("true",))))


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import subprocess; subprocess.Popen(['sleep', '60'])",
        "import os, time; os.close(1); time.sleep(60)",
    ],
    ids=["sleeps", "leaves a child", "closes its output"],
)
def test_a_command_that_does_not_end_times_out(code: str) -> None:
    start = time.monotonic()
    assert "did not finish within 0.5 seconds" in str(failure(python(code), timeout=0.5))
    assert time.monotonic() - start < 5 * slowness()


def test_a_command_that_prints_without_end_is_stopped() -> None:
    assert "more than 64 kB" in str(failure(python("while True: print('x' * 9999, end='')")))


def test_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    entries = {("moorage", "ana"): "s3cret"}
    monkeypatch.setattr(keyring, "get_password", lambda *name: entries.get(name))
    assert resolved(FromKeyring("ana")) == "s3cret"
    assert "keyring set moorage ben" in str(failure(FromKeyring("ben")))

    def locked(service: str, name: str) -> str:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(keyring, "get_password", locked)
    assert "cannot be opened" in str(failure(FromKeyring("ana")))
    assert "s3cret" not in str(failure(FromKeyring("ana")))


def test_a_missing_keyring_package_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "pip install 'moorage[keyring]'" in str(failure(FromKeyring("ana")))


def test_a_typed_secret_is_itself() -> None:
    assert resolved(Typed(Secret("s3cret"))) == "s3cret"


def test_a_prompt_without_an_asker_is_an_error() -> None:
    assert "was not entered" in str(failure(FromPrompt(True)))


class Person:
    """Answers slowly, and notices when two ask at a time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._busy = threading.Lock()

    def __call__(self, what: SecretName, server: str | None) -> Secret:
        assert self._busy.acquire(blocking=False), "two questions at a time"
        time.sleep(0.02)
        self.asked.append(str(what))
        self._busy.release()
        return Secret(f"answer to {what}")


def test_each_secret_is_prompted_for_once_and_in_turn() -> None:
    person = Person()
    resolver = Resolver(person)
    places = [f"credentials.users[{position}].password" for position in range(4)] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: resolver.resolve(FromPrompt(True), place), places))
    assert sorted(person.asked) == sorted(set(places))
    assert [secret.reveal() for secret in found] == [f"answer to {place}" for place in places]


def test_a_command_runs_once_for_several_uses(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = python(f"open({str(log)!r}, 'a').write('x'); import time; time.sleep(.1); print('s')")
    resolver = Resolver(nobody)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda place: resolver.resolve(command, f"place {place}"), range(8)))
    assert log.read_text() == "x"


def test_a_failure_is_reported_for_each_use_and_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver(nobody)
    for place in ("servers[0].password", "servers[1].password"):
        with pytest.raises(SecretUnavailable) as raised:
            resolver.resolve(FromEnvironment("MOORAGE_TEST"), place)
        assert place in raised.value.fields
    monkeypatch.setenv("MOORAGE_TEST", "s3cret")
    assert resolver.resolve(FromEnvironment("MOORAGE_TEST"), WHERE).reveal() == "s3cret"


def test_a_wrong_secret_is_prompted_for_again_but_only_once_for_all() -> None:
    asked: list[str] = []

    def person(what: object, server: str | None, rejected: Secret | None = None) -> Secret:
        asked.append(rejected.reveal() if rejected else "")
        return Secret("wrong" if rejected is None else "right")

    resolver = Resolver(person)
    wrong = resolver.resolve(FromPrompt(True), WHERE)
    again = [resolver.resolve_unless(wrong, FromPrompt(True), WHERE) for _ in range(2)]
    assert again == [Secret("right"), Secret("right")]
    assert resolver.resolve(FromPrompt(True), WHERE) == Secret("right")
    assert resolver.resolve_unless(wrong, FromEnvironment("MOORAGE_TEST"), WHERE) is None
    assert asked == ["", "wrong"]


FILE = """\
version: 1
registry:
  domain: registry.example.com
  environment: {{REGISTRY_PROXY_PASSWORD: {{env: MOORAGE_UNSET}}, REGISTRY_LOG_LEVEL: info}}
servers:
  - host: 203.0.113.10
    sudo_password: {{prompt: true}}
credentials:
  users:
    - {{name: a, password: {{file: {folder}/missing}}}}
    - {{name: b, password: {{file: {folder}/empty}}}}
    - {{name: c, password: {{command: [moorage-no-such-program, x]}}}}
    - {{name: d, password: {{command: ["true"]}}}}
    - {{name: e, password: {{generate: true}}}}
    - {{name: f, password: {{env: PATH}}}}
storage:
  driver: filesystem
  s3: {{bucket: images, region: eu, accesskey: {{env: MOORAGE_UNSET}},
       secretkey: {{env: MOORAGE_UNSET}}}}
"""


def test_all_unresolvable_references_are_listed_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    answers = loads(FILE.format(folder=tmp_path))
    told = {problem.dotted: problem.message for problem in check_available(answers, terminal=False)}
    assert list(told) == [
        "registry.environment.REGISTRY_PROXY_PASSWORD",
        "servers[0].sudo_password",
        "credentials.users[0].password",
        "credentials.users[1].password",
        "credentials.users[2].password",
    ]
    assert "MOORAGE_UNSET is not set" in told["registry.environment.REGISTRY_PROXY_PASSWORD"]
    assert "there is no terminal" in told["servers[0].sudo_password"]
    with_terminal = check_available(answers, terminal=True)
    assert len(with_terminal) == len(told) - 1


def test_references_of_an_unused_driver_are_not_resolved(tmp_path: Path) -> None:
    paths = [Problem(path, "").dotted for path, _ in references(loads(FILE.format(folder="/x")))]
    assert not any(path.startswith("storage") for path in paths)


def test_bytes_that_are_not_text_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOORAGE_BYTES", "hunter2\udcff")
    with pytest.raises(SecretUnavailable) as caught:
        Resolver(lambda what, server: None).resolve(FromEnvironment("MOORAGE_BYTES"), "a.b")
    assert caught.value.explain() == "the secret is not UTF-8. See a.b."
