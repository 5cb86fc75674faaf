"""Who is asked for host keys and secrets, and how."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from calls import Moorage
from fake_server import FINGERPRINT, FakeServers, no_answer

from moorage.answers.load import load
from moorage.answers.secrets import Secret
from moorage.cli.asker import CommandLineAsker
from moorage.cli.main_thread import MainThread
from moorage.cli.output import Output
from moorage.errors import SecretName
from moorage.servers.transport import HostKey, LoginRequest

HOST = "one.example.test"
KEY = HostKey(HOST, HOST, "ssh-ed25519", FINGERPRINT)


def test_an_unknown_key_is_refused_without_a_terminal(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers[HOST].unknown_key = FINGERPRINT

    outcome = moorage("plan", str(answers_file))

    assert outcome.code == 4
    assert FINGERPRINT in outcome.stderr
    assert "--accept-host-key" in outcome.stderr


@pytest.mark.parametrize("accepted", [FINGERPRINT, "new"])
def test_a_given_fingerprint_is_accepted(
    moorage: Moorage, answers_file: Path, servers: FakeServers, accepted: str
) -> None:
    servers[HOST].unknown_key = FINGERPRINT

    outcome = moorage("plan", str(answers_file), "--accept-host-key", accepted)

    assert outcome.code == 0
    assert f"{FINGERPRINT} is now trusted" in outcome.stderr


def test_another_fingerprint_is_rejected(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers[HOST].unknown_key = FINGERPRINT

    assert moorage("plan", str(answers_file), "--accept-host-key", "SHA256:" + "B" * 43).code == 4


@pytest.mark.parametrize(
    ("typed", "accepted"),
    [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False), ("yep\n", False)],
)
def test_a_host_key_needs_an_explicit_yes(
    typed: str, accepted: bool, interactive: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    assert CommandLineAsker(interactive, MainThread()).accept_host_key(KEY) is accepted


def test_the_question_shows_the_fingerprint(
    interactive: Output, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    CommandLineAsker(interactive, MainThread()).accept_host_key(KEY)

    assert FINGERPRINT in capsys.readouterr().err


def test_questions_of_threads_are_asked_one_by_one_in_the_main_thread(
    interactive: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on: list[str] = []
    overlaps: list[str] = []
    askers: set[threading.Thread] = set()

    def slow(prompt: str, stream: object) -> str:
        askers.add(threading.current_thread())
        overlaps.extend(going_on)
        going_on.append(prompt)
        time.sleep(0.05)
        going_on.remove(prompt)
        return f"answer to {prompt}"

    monkeypatch.setattr("getpass.getpass", slow)
    main_thread = MainThread()
    asker = CommandLineAsker(interactive, main_thread)
    answers: dict[str, Secret | None] = {}

    def work() -> None:
        def ask(server: str) -> None:
            answers[server] = asker.secret(SecretName("sudo_password", "admin"), server)

        threads = [threading.Thread(target=ask, args=(f"s{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    main_thread.wait_for(work)

    assert overlaps == []
    assert askers == {threading.main_thread()}
    assert answers["s2"] == Secret("answer to sudo password of admin on s2: ")


def test_without_a_terminal_no_secret_is_prompted_for() -> None:
    asker = CommandLineAsker(Output(), MainThread())

    assert asker.secret(SecretName("sudo_password", "admin"), HOST) is None


def test_a_prompt_names_the_secret_and_its_server(
    interactive: Output, answers_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: prompts.append(prompt) or "x")
    asker = CommandLineAsker(interactive, MainThread(), (), load(answers_file))

    for what in (
        "servers[0].sudo_password",
        "credentials.users[0].password",
        "storage.s3.secretkey",
    ):
        asker.secret(SecretName(what.rpartition(".")[2], field=what), None)

    assert prompts == [
        f"sudo password of root@{HOST}: ",
        "password of registry user ci: ",
        "storage.s3.secretkey: ",
    ]


def test_the_login_prompt_says_why_and_how_to_give_a_key(
    interactive: Output, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: "typed")
    asker = CommandLineAsker(interactive, MainThread())
    wanted = LoginRequest(
        SecretName("password", "root"), HOST, "No key was accepted.", ("publickey",)
    )

    assert asker.login(wanted) == Secret("typed")
    said = capsys.readouterr().err
    assert "No key was accepted." in said
    assert "--key" in said
    assert asker.login(replace(wanted, key="~/.ssh/other")) is None


def test_a_wrong_password_is_prompted_for_again(
    interactive: Output, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: "typed")
    asker, wrong = CommandLineAsker(interactive, MainThread()), Secret("harbour")
    login = LoginRequest(
        SecretName("password", "root"), HOST, "Rejected.", ("publickey",), rejected=wrong
    )

    assert asker.login(login) == Secret("typed")
    assert asker.secret(SecretName("sudo_password", "admin"), HOST, wrong) == Secret("typed")
    assert capsys.readouterr().err.splitlines() == [
        "Wrong password, try again.",
        "Wrong sudo password, try again.",
    ]


def test_a_refused_login_says_how_to_give_a_key(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers[HOST].fault = no_answer(HOST, "login_refused")

    outcome = moorage("plan", str(answers_file))

    assert outcome.code == 4
    assert "--key (for --server)" in outcome.stderr
    assert "servers[].key" in outcome.stderr


def test_a_refused_password_does_not_ask_for_a_key(
    moorage: Moorage, answers_file: Path, servers: FakeServers
) -> None:
    servers[HOST].fault = no_answer(HOST, "login_refused")
    servers[HOST].fault.may_need_key = False

    assert "key" not in moorage("plan", str(answers_file)).stderr


def test_status_prompts_for_logins_only(
    interactive: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: "typed")
    asker = CommandLineAsker(interactive, MainThread())
    asker.asks_for_logins_only = True

    assert asker.secret(SecretName("password", field="credentials.users[0].password"), None) is None
    assert asker.secret(
        SecretName("sudo_password", field="servers[0].sudo_password"), HOST
    ) == Secret("typed")
    assert asker.secret(SecretName("sudo_password", "admin"), HOST) == Secret("typed")


@pytest.fixture
def interactive(monkeypatch: pytest.MonkeyPatch) -> Output:
    """Output on a terminal."""
    monkeypatch.setattr("moorage.cli.output.Output.is_interactive", True)
    return Output()
