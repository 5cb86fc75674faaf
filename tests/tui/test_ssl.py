"""The SSL step: each mode with only its own fields, what is typed kept, certificates read back."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from certificate_maker import Authority
from fake_server import FakeServers
from opening import opened
from wizard_driver import SIZES, Wizard

from moorage.answers.secrets import Secret, Typed
from moorage.deploy.certificates import ca
from moorage.deploy.certificates.certificate import Replacement, Served, fingerprint
from moorage.deploy.operations import Operations
from moorage.deploy.plan.consequences import Code, Consequence
from moorage.deploy.run.report import ApplyReport
from moorage.desired.certificates import describe
from screens.ssl import step
from screens.ssl.certificate_preview import Described, read_files
from tui.document import store
from tui.document.draft import Draft
from tui.document.unapplied import not_applied
from tui.widgets.choice import Choice
from tui.widgets.field import Field
from tui.wizard.form import Form
from tui.wizard.frame import WizardFrame

ANSWERS = {
    "version": 1,
    "registry": {"domain": "registry.example.com"},
    "servers": [{"host": "alpha"}],
    "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
}


def _pane(wizard: Wizard) -> Form:
    frame = wizard.app.screen
    assert isinstance(frame, WizardFrame)
    return frame.pane


def _labels(wizard: Wizard) -> list[str]:
    pane = _pane(wizard)
    return [
        field.label
        for field in pane.query(Field)
        if all(node.display for node in field.ancestors_with_self)
    ]


def _draft(wizard: Wizard) -> Draft:
    assert wizard.app.session is not None
    return wizard.app.session.draft


async def test_each_mode_has_only_its_own_fields(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.press("alt+5")
        await wizard.see("Private CA")
        assert _labels(wizard) == ["Name of the CA", "Passphrase", "HSTS seconds", "Load balancers"]
        await wizard.press("down")
        await wizard.see("HTTP challenge")
        assert _labels(wizard)[:3] == ["Email", "Directory", "Its CA file"]
        await wizard.press("down")
        await wizard.see("Certificate")
        assert _labels(wizard) == ["Certificate", "Key", "HSTS seconds", "Load balancers"]
        await wizard.press("down")
        await wizard.see("docker login refuses plain HTTP")
        assert _labels(wizard) == ["Load balancers"]


async def test_acme_is_answered_with_a_choice_and_enter(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.press("alt+5", "down")
        await wizard.press("tab")
        await wizard.type("ops@example.com".replace("@", "A"))
        await wizard.press("tab")
        await wizard.see("✗ must be an email address")
        assert wizard.app.session is not None
        draft = _draft(wizard)
        draft.set("ssl.acme.email", "ops@example.com")
        answers = draft.answers()
        assert answers.ssl.mode == "acme"
        assert answers.ssl.acme.challenge == "http-01"


@pytest.mark.parametrize(
    ("resolved", "server", "is_public"),
    [
        ("203.0.113.10", "203.0.113.10", False),  # reserved for documentation
        ("8.8.4.4", "8.8.4.4", True),
        ("8.8.4.4", "8.8.8.8", False),
        ("10.0.0.7", "10.0.0.7", False),
        ("", "8.8.4.4", False),
    ],
)
async def test_acme_is_proposed_where_the_name_resolves_to_a_public_address_of_the_server(
    servers: FakeServers,
    monkeypatch: pytest.MonkeyPatch,
    resolved: str,
    server: str,
    is_public: bool,
) -> None:
    names = {"registry.example.com": (resolved,) if resolved else ()}
    monkeypatch.setattr(
        "moorage.dns.public_name.resolve_locally", lambda name: names.get(name, (name,))
    )
    answers = ANSWERS | {"servers": [{"host": "alpha", "address": server}]}
    async with opened(servers, prefill=answers, size=(120, 40)) as wizard:
        await wizard.press("alt+5")
        text = "With ACME, clients trust" if is_public else "Every client must trust this CA"
        await wizard.see(text)
        assert ("80 open to the internet" in wizard.text) is is_public
        await wizard.press("down")
        await wizard.until(lambda: text not in wizard.text, "it is about the private CA only")


@pytest.mark.parametrize("size", SIZES)
async def test_a_dns_provider_has_its_own_credentials_and_secrets_stay_hidden(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    async with opened(servers, prefill=ANSWERS, size=size) as wizard:
        await wizard.press("alt+5", "down", "tab", "tab", "down")
        await wizard.see("DNS challenge")
        fields = {"Server", "Port", "Name", "Algorithm", "Secret"}
        await wizard.until(lambda: fields <= set(_labels(wizard)), "the provider's fields")
        pane = _pane(wizard)
        field = pane.query_one("#dns-rfc2136-secret", Field)
        field.focus()
        await wizard.pilot.pause()
        await wizard.type("topsecret")
        assert "topsecret" not in wizard.text
        draft = _draft(wizard)
        assert draft.get("ssl.acme.dns.credentials.secret") == Typed(Secret("topsecret"))
        plain = draft.without_secrets()
        assert plain["ssl"]["acme"]["dns"]["credentials"]["secret"] == {"prompt": True}

        # Another provider: other fields, and nothing of the first one's left.
        pane.query_one("#provider", Choice).choose("cloudflare")
        await wizard.until(lambda: "Api token" in _labels(wizard), "the other provider's fields")
        assert "Server" not in _labels(wizard)
        pane.query_one("#dns-cloudflare-api_token", Field).focus()
        await wizard.type("anothersecret")
        section = _draft(wizard).answers().ssl.acme
        assert section.dns is not None
        assert section.dns.provider == "cloudflare"
        assert set(section.dns.credentials) == {"api_token"}


@pytest.mark.parametrize("size", SIZES)
async def test_tab_reaches_every_field_of_acme_and_shows_it_whole(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    async with opened(servers, prefill=ANSWERS, size=size) as wizard:
        await wizard.press("alt+5", "down")
        pane = _pane(wizard)
        seen = []
        for _ in range(30):
            await wizard.press("tab")
            focused = wizard.app.focused
            field = next((each for each in pane.query(Field) if focused is each.input), None)
            if field is None:
                continue
            seen.append(field.label)
            assert pane.region.contains_region(field.input.region), field.label
        assert set(_labels(wizard)) <= set(seen)


async def test_values_of_other_modes_are_not_used(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        draft = _draft(wizard)
        draft.set("ssl.acme", {"directory": "nonsense", "external_account": {}})
        draft.set("ssl.mode", "private_ca")
        assert draft.problems == ()
        draft.set("ssl.mode", "acme")
        assert [problem.dotted for problem in draft.problems] == ["ssl.acme.directory"]


async def test_load_balancers_are_a_list(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.press("alt+5")
        field = next(each for each in _pane(wizard).fields if each.label == "Load balancers")
        field.focus()
        field.input.value = "10.0.0.0/8, 192.0.2.7"
        await wizard.pilot.pause()
        assert _draft(wizard).answers().ssl.trusted_proxies == ("10.0.0.0/8", "192.0.2.7/32")
        field.input.value = "somewhere"
        await wizard.press("shift+tab")
        await wizard.see("must be an address or a network")


async def test_the_state_of_the_private_ca_is_shown(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await wizard.press("alt+5")
        await wizard.see("The first apply creates a CA", "Limited to registry.example.com")
        authority = ca.create("Moorage private CA", "registry.example.com", Secret("s3"))
        ca.keep("Moorage private CA", "registry.example.com", authority)
        await wizard.press("alt+4", "alt+5")
        await wizard.see("✓ CA with", "key encrypted")


async def test_a_ca_file_is_described_while_its_path_is_typed(
    servers: FakeServers, home: Path
) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20",
         "-subj", "/CN=Company root", "-keyout", home / "k.pem", "-out", home / "c.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await wizard.press("alt+5", "down")
        await wizard.see("The CA requests http://registry.example.com", "port 80")
        field = next(each for each in _pane(wizard).query(Field) if each.label == "Its CA file")
        field.input.value = str(home / "c.pem")
        await wizard.see("CA file: Company root")
        field.input.value = str(home / "k.pem")
        await wizard.see("contains no PEM certificate")


async def test_a_file_named_while_another_is_read_is_read_before_the_next_step(
    servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, began, ends = Described("All good."), threading.Event(), threading.Event()

    def read(certificate: str, _key: str, _domain: str) -> Described:
        if certificate != "slow.pem":
            return read_files(certificate, _key, _domain)
        began.set()
        assert ends.wait(600)
        return good

    monkeypatch.setattr(step, "read_files", read)
    answers = ANSWERS | {"ssl": {"mode": "files", "files": {"key": "k.pem"}}}
    async with opened(servers, prefill=answers, size=(120, 40)) as wizard:
        await wizard.press("alt+5")
        field = next(
            each for each in _pane(wizard).query(Field) if each.path.endswith(".certificate")
        )
        field.focus()
        field.input.value = "slow.pem"
        await wizard.press("ctrl+n")
        await wizard.until(began.is_set, "the first file is read")
        field.input.value = "missing.pem"
        await wizard.pilot.pause()
        ends.set()
        await wizard.see("missing.pem cannot be read", "How does the registry get its certificate?")


async def test_replacing_a_certificate_reports_other_pending_changes(
    servers: FakeServers, home: Path
) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20",
         "-subj", "/CN=r", "-addext", "subjectAltName=DNS:registry.example.com",
         "-keyout", home / "k.pem", "-out", home / "c.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    files = {"certificate": str(home / "c.pem"), "key": str(home / "k.pem")}
    answers = ANSWERS | {"ssl": {"mode": "files", "files": files}}
    async with opened(servers, prefill=answers, size=(120, 40)) as wizard:
        await wizard.press("alt+5")
        await wizard.see("The certificate matches the name and the key", "Replace on the servers")
        await wizard.press("ctrl+t")
        await wizard.see("more than the certificate would change", "moorage plan FILE")
        await wizard.press("up")
        assert "Replace on the servers" not in wizard.text


async def test_a_name_invalid_for_a_ca_is_explained(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await wizard.press("alt+5")
        await wizard.see("The first apply creates a CA")
        await wizard.press("tab")
        await wizard.type("ä")
        await wizard.see("✗ must be letters, digits")
        assert "CA cannot be read" not in wizard.text
        await wizard.press("backspace")
        await wizard.type("Yard")
        await wizard.see("The first apply creates a CA")
        assert "✗" not in wizard.text


async def test_typing_during_a_replacement_does_not_hide_its_result(
    servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority("Root")
    leaf, key = authority.issue("registry.example.com")
    for name, content in (("chain.pem", leaf + authority.pem), ("key.pem", key)):
        (home / name).write_bytes(content)
    files = {"certificate": str(home / "chain.pem"), "key": str(home / "key.pem")}
    began, ends = threading.Event(), threading.Event()

    def replaces(operations: Operations) -> Replacement:
        began.set()
        ends.wait(60)
        shown = Served("alpha", describe(leaf), fingerprint(leaf), "TLSv1.3")
        return Replacement(None, (shown,), fingerprint(leaf))

    alpha = SimpleNamespace(server="alpha", has_changes=True)
    plan = SimpleNamespace(servers=(alpha,), consequences=(), destructive=())
    monkeypatch.setattr(step, "with_files", lambda answers, *_: answers)
    monkeypatch.setattr(Operations, "plan_replacement", lambda _: plan)
    monkeypatch.setattr(Operations, "replace_certificate", replaces)
    answers = ANSWERS | {"ssl": {"mode": "files", "files": files}}
    async with opened(servers, prefill=answers, size=(120, 40)) as wizard:
        await wizard.press("alt+5", "ctrl+t")
        await wizard.see("replaces the certificate on alpha")
        await wizard.press("enter")
        await wizard.until(began.is_set, "it is being replaced")
        # Leaving a field reads the files once more.
        await wizard.press("tab", "tab")
        await wizard.see("The certificate matches the name and the key")
        ends.set()
        await wizard.see("alpha shows the new certificate")


async def test_replacing_with_a_certificate_of_another_authority_warns_and_leaves_nothing_to_apply(
    servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority("Root")
    leaf, key = authority.issue("registry.example.com")
    for name, content in (("chain.pem", leaf + authority.pem), ("key.pem", key)):
        (home / name).write_bytes(content)
    files = {"certificate": str(home / "chain.pem"), "key": str(home / "key.pem")}
    warning = Consequence(
        Code.CERTIFICATE_AUTHORITY, "Clients have to trust it.", True, note="They fail until then"
    )
    alpha = SimpleNamespace(server="alpha", has_changes=True)
    plan = SimpleNamespace(
        servers=(alpha,), consequences=(warning,), destructive=(warning,),
        revision=SimpleNamespace(number=2),
    )  # fmt: skip
    replaced: list[bool] = []

    def planned(operations: Operations) -> SimpleNamespace:
        operations.plan = plan  # type: ignore[assignment]
        return plan

    def replaces(operations: Operations) -> Replacement:
        replaced.append(True)
        shown = Served("alpha", describe(leaf), fingerprint(leaf), "TLSv1.3")
        return Replacement(ApplyReport((), {}, revision=3), (shown,), fingerprint(leaf))

    monkeypatch.setattr(step, "with_files", lambda answers, *_: answers)
    monkeypatch.setattr(Operations, "plan_replacement", planned)
    monkeypatch.setattr(Operations, "replace_certificate", replaces)
    store.keep_applied(Draft(ANSWERS))
    answers = ANSWERS | {"ssl": {"mode": "files", "files": files}}
    async with opened(servers, prefill=answers, size=(120, 40)) as wizard:
        assert wizard.app.session is not None
        session = wizard.app.session
        assert not_applied(session.draft)
        await wizard.press("s", "alt+5", "ctrl+t")
        await wizard.see("! Clients have to trust it. They fail until then.")
        assert "no request fails" not in wizard.text
        await wizard.press("enter")
        await wizard.see("The certificate matches the name and the key")
        assert not replaced
        await wizard.press("ctrl+t")
        await wizard.see("They fail until then")
        await wizard.press("tab", "enter")
        await wizard.see("alpha shows the new certificate")
        await wizard.until(lambda: session.is_applied, "the draft counts as applied")
        assert not not_applied(session.draft)
        assert 3 in {session.seen, session.draft.get("based_on")}


async def test_next_stays_at_files_with_problems_until_they_are_corrected(
    servers: FakeServers, home: Path
) -> None:
    authority = Authority("Root")
    leaf, key = authority.issue("registry.example.com")
    _, wrong = authority.issue("registry.example.com")
    (home / "chain.pem").write_bytes(leaf + authority.pem)
    (home / "key.pem").write_bytes(wrong)
    files = {"certificate": str(home / "chain.pem"), "key": str(home / "key.pem")}
    answers = ANSWERS | {"ssl": {"mode": "files", "files": files}}
    async with opened(servers, prefill=answers) as wizard:
        await wizard.press("alt+5", "ctrl+n")
        await wizard.see("✗ The key does not belong to the certificate.")
        key_field = next(each for each in _pane(wizard).fields if each.label == "Key")
        await wizard.until(lambda: wizard.app.focused is key_field.input, "the key has the focus")
        assert wizard.text.count("The key does not belong") == 1
        await wizard.press("alt+6")
        await wizard.see("✗ SSL")
        await wizard.press("alt+5", "tab")
        (home / "key.pem").write_bytes(key)
        await wizard.press("ctrl+n")
        await wizard.see("✓ SSL", "Any special requirements?")
        assert not _draft(wizard).problems


async def test_review_names_the_step_of_a_faulty_file(servers: FakeServers, home: Path) -> None:
    answers = ANSWERS | {
        "ssl": {"mode": "files", "files": {"certificate": str(home / "none"), "key": "none"}}
    }
    async with opened(servers, prefill=answers) as wizard:
        await wizard.press("alt+7")
        await wizard.see("✗ SSL: Certificate:", "cannot be read", "✗ SSL")
        assert "ssl.files" not in wizard.text
        await wizard.press("enter")
        await wizard.see("How does the registry get its certificate?")


async def test_typing_clears_the_problems_of_a_file(servers: FakeServers, home: Path) -> None:
    answers = ANSWERS | {
        "ssl": {"mode": "files", "files": {"certificate": str(home / "none"), "key": "none"}}
    }
    async with opened(servers, prefill=answers) as wizard:
        await wizard.press("alt+5", "tab", "enter")
        await wizard.until(lambda: bool(_draft(wizard).problems), "a problem")
        await wizard.type("x")
        assert not _draft(wizard).problems
