import asyncio
import subprocess
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers
from opening import opened
from textual import events
from textual.widgets import Static, TextArea
from textual.widgets._toast import Toast
from walk import ANSWERS, LOGIN
from wizard_driver import SIZES

from moorage.errors import CannotConnect
from screens.advanced.step import read_mapping, read_variables
from tui.document.steps import STEPS, Step
from tui.widgets.choice import Choice
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter
from tui.widgets.table import EditableTable
from tui.wizard.form import Form
from tui.wizard.frame import WizardFrame
from tui.wizard.preview_pane import PreviewPane

NOT_YAML = "is not valid YAML from here on"
NO_COLON = f"{NOT_YAML}: expected NAME: VALUE, check for a missing colon or quote"


@pytest.mark.parametrize("size", SIZES)
async def test_pressing_enter_goes_from_servers_to_review(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    async with opened(servers, size=size) as wizard:
        await wizard.new_with_server()
        for step in STEPS[1:]:
            await wizard.press("enter")
            await wizard.see(f"{step.number} of 7")
        await wizard.see("1 server:", "27 files new", "registry.env")
        await wizard.press("home")
        await wizard.see("Debian GNU/Linux 12")


async def test_escape_returns_to_the_start_and_loses_nothing(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server()
        await wizard.press("enter", "enter")
        await wizard.see("Storage  3 of 7")
        await wizard.press("escape", "escape", "escape")
        await wizard.see("New deployment", "registry.example.com", "not saved to a file")
        await wizard.press("enter")
        await wizard.see("1 of 7", "● Servers", "✓ Credentials", "✓ Storage", "○ DNS", "○ SSL")
        await wizard.press("alt+5", "alt+7")
        await wizard.see("7 of 7", "✓ SSL", "○ DNS")


@pytest.mark.parametrize("size", SIZES)
async def test_every_step_opens_by_its_number(servers: FakeServers, size: tuple[int, int]) -> None:
    async with opened(servers, size=size) as wizard:
        await wizard.press("enter")
        for step in reversed(STEPS):
            await wizard.press(f"alt+{step.number}")
            await wizard.see(f"{step.label}  {step.number} of 7")


async def test_continuing_while_a_step_opens_waits_for_it(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        for step in (Step.STORAGE, Step.ADVANCED):
            opens = asyncio.ensure_future(frame.action_jump(step.value))
            while frame.session.progress.current is not step:
                await asyncio.sleep(0)
            await frame.action_next()
            await opens
            await wizard.until(
                lambda step=step: frame.session.progress.current is not step, "it went on"
            )
        assert frame.session.progress.current is Step.REVIEW


@pytest.mark.parametrize("size", SIZES)
async def test_tab_reaches_every_field_and_shows_it_whole(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    async with opened(servers, size=size) as wizard:
        await wizard.press("enter", "alt+3", "down")
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        await wizard.see("Bucket")
        fields = list(frame.pane.query("#s3 Field").results(Field))
        for field in fields:
            await wizard.press("tab")
            assert wizard.app.focused is field.input
            await wizard.pilot.pause(0.05)
            assert field.region.height
            assert frame.pane.region.contains_region(field.region), field.label


async def test_a_mistake_is_shown_beside_the_field_on_leaving_it(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("[red]x")
        assert "wanted" not in wizard.text
        await wizard.press("tab")
        await wizard.see("[red]x", "✗ must be a DNS name such as")
        await wizard.press("shift+tab", "ctrl+u")
        await wizard.type("registry.example.com")
        assert "✗" not in wizard.text


async def test_continuing_with_a_mistake_focuses_its_field(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+6", "tab")
        await wizard.type("99999")
        await wizard.press("ctrl+n")
        await wizard.see("6 of 7", "65535")
        assert wizard.app.focused is not None
        assert wizard.app.focused.value == "99999"  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", ["[/]", "[bold]x[/bold]", "[", "]" * 50, "x" * 10_000])
async def test_hostile_values_are_shown_as_they_are(servers: FakeServers, value: str) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        frame.pane.query_one(Field).input.value = value
        await wizard.press("tab")
        await wizard.see("✗")
        await wizard.press("alt+7")
        await wizard.see("Some answers are missing or wrong")
        await wizard.press("f1")
        await wizard.see("Ctrl+R", "Shift+Tab")


async def test_the_name_of_a_server_is_never_markup(servers: FakeServers) -> None:
    draft = {
        "version": 1,
        "registry": {"domain": "registry.example.com"},
        "servers": [{"host": "[red]evil[/]"}],
        "credentials": {"users": [{"name": "[b]x", "password": {"generate": True}}]},
    }
    async with opened(servers, prefill=draft) as wizard:
        await wizard.see("[red]evil[/]", "1 of 7")
        await wizard.press("alt+2")
        await wizard.see("[b]x")


@pytest.mark.parametrize("size", SIZES)
async def test_aliases_of_the_ssh_configuration_are_offered(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    async with opened(servers, size=size) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("From ~/.ssh/config: alpha, beta")
        await wizard.press("down", "down", "ctrl+s")
        await wizard.see("beta", "ssh config")
        assert wizard.app.session is not None
        assert wizard.app.session.draft.items("servers") == [{"host": "beta"}]


async def test_enter_in_the_server_dialog_visits_all_fields_before_adding(
    servers: FakeServers,
) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("Add a server")
        await wizard.press("enter")
        await wizard.see("✗ expected an IP address")
        await wizard.type("alpha")
        await wizard.press("enter")
        await wizard.type("root")
        await wizard.press("enter")
        await wizard.type("2222")
        await wizard.press("enter", "enter", "enter", "enter")
        await wizard.see("Add a server", "Over SSH", "⏎ Add")
        await wizard.press("enter")
        await wizard.see("alpha", "root port 2222", "not tested")
        assert wizard.app.focused is wizard.app.screen.query_one(EditableTable)


async def test_keys_typed_after_adding_a_server_reach_the_list(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        assert wizard.app.focused is wizard.app.screen.query_one(EditableTable)
        await wizard.press("a")
        await wizard.see("Add a server")


async def test_adding_a_user_with_a_typed_password_prompts_for_it_first(
    servers: FakeServers,
) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server()
        await wizard.press("enter", "a")
        dialog = wizard.app.screen
        dialog.query_one("#kind", Choice).choose("type")
        await wizard.type("ci")
        await wizard.press("enter", "enter", "enter")
        assert wizard.app.focused is dialog.query_one("#password", Field).input
        await wizard.type("correct horse battery")
        await wizard.press("enter")
        await wizard.see("ci", "typed")


async def test_a_user_typed_before_the_host_moves_to_its_field(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("Add a server", "Key file")
        await wizard.type("root@10.77.0.30")
        await wizard.press("ctrl+s")
        await wizard.see("10.77.0.30  root ")
        await wizard.press("a")
        await wizard.type("admin@10.77.0.31:2222")
        await wizard.press("enter")
        await wizard.see("Moved user and port to the fields below")
        assert [each.value for each in wizard.app.screen.query(Field)][:3] == [
            "10.77.0.31", "admin", "2222",
        ]  # fmt: skip
        await wizard.press("shift+tab")
        await wizard.type("x@")
        await wizard.press("enter")
        await wizard.see("✗ must be the host alone; the user has a field")


async def test_the_error_for_a_non_ascii_name_shows_its_ascii_form(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("büro.example.com")
        await wizard.press("tab")
        await wizard.see("✗ must be written in its ASCII form,", "xn--bro-hoa.example.com")


async def test_the_same_server_twice_is_refused(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("a")
        await wizard.type("alpha")
        await wizard.press("enter")
        await wizard.see("✗", "alpha")
        await wizard.press("escape")
        assert wizard.app.session is not None
        assert len(wizard.app.session.draft.items("servers")) == 1


async def test_several_servers_on_one_disk_are_refused_at_storage(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("a")
        await wizard.type("beta")
        await wizard.press("ctrl+s", "enter", "enter")
        await wizard.see("Storage  3 of 7")
        await wizard.press("enter")
        await wizard.see("3 of 7", "✗", "Use the driver s3")


async def test_a_server_is_edited_and_removed_by_keys(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("e", "enter")
        await wizard.type("root")
        await wizard.press("ctrl+s")
        await wizard.see("alpha", "root")
        await wizard.press("d")
        await wizard.see("Servers  1 of 7")
        assert "alpha" not in wizard.text


async def test_users_are_added_with_a_typed_password(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server()
        await wizard.press("enter", "a")
        await wizard.see("The user name for docker login")
        await wizard.type("ci")
        await wizard.press("tab", "down", "tab", "down", "tab")
        await wizard.type("abc")
        await wizard.see("very weak", "•••")
        await wizard.press("enter")
        await wizard.see("✗ very weak", "Use a longer", "Use it anyway")
        await wizard.press("enter")
        await wizard.see("Use it anyway")
        await wizard.press("tab", "enter")
        await wizard.see("ci", "pull only", "typed")
        assert "abc" not in wizard.text


async def test_an_invalid_hash_is_an_error_beside_its_field(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server()
        await wizard.press("enter", "a")
        await wizard.type("ci")
        await wizard.press("tab", "tab", "down", "down", "tab")
        await wizard.type("nonsense")
        await wizard.press("enter")
        await wizard.see("✗", "htpasswd")


@pytest.mark.parametrize("step", ["1", "2", "3", "4", "5", "6", "7"])
async def test_the_help_of_every_step_has_an_example(servers: FakeServers, step: str) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", f"alt+{step}", "f1")
        example = wizard.app.screen.query_one(".help--example", Static)
        assert str(example.content).strip()
        assert max(map(len, str(example.content).splitlines())) <= 64


async def test_pasted_lines_fill_the_s3_form(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+3", "down")
        await wizard.see("Bucket")
        wizard.app.screen.query_one("#paste").focus()
        await wizard.press("enter")
        await wizard.see("Paste environment lines")
        area = wizard.app.focused
        area.text = (  # type: ignore[union-attr]
            "REGISTRY_STORAGE_S3_BUCKET=images\nREGISTRY_STORAGE_S3_REGION: eu-central-1\n"
            "export REGISTRY_STORAGE_S3_ACCESSKEY=AKIA\nREGISTRY_STORAGE_S3_SECRETKEY=hush\n"
        )
        await wizard.press("tab", "tab", "enter")
        assert wizard.app.session is not None
        s3 = wizard.app.session.draft.get("storage.s3")
        assert (s3["bucket"], s3["region"]) == ("images", "eu-central-1")
        assert "hush" not in repr(s3)
        assert "hush" not in wizard.text
        await wizard.see("✓ filled in: Bucket, Region, Access key, Secret key")
        assert not wizard.app.screen.query(Toast)


async def test_invalid_yaml_is_reported_below_its_text_area(servers: FakeServers) -> None:
    async with opened(servers, size=(120, 40)) as wizard:
        await wizard.press("enter", "alt+6")
        area = wizard.app.screen.query_one("#settings")
        area.text = "log: [unclosed"  # type: ignore[attr-defined]
        await wizard.see("✗ line 1")
        area.text = "log: {level: info}"  # type: ignore[attr-defined]
        await wizard.pilot.pause()
        assert "✗ line" not in wizard.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("REGISTRY_LOG_LEVEL=debug", {"REGISTRY_LOG_LEVEL": "debug"}),
        ("# why\nA=1\n\nexport B='x y'\n", {"A": "1", "B": "x y"}),
        ("- A=http://a:80\n- B=2", {"A": "http://a:80", "B": "2"}),
        ("docker run -e A=1 -e B=2 registry:2", {"A": "1", "B": "2"}),
        ("A=b=c", {"A": "b=c"}),
        ("A: {env: B}\nC: 2", {"A": {"env": "B"}, "C": 2}),
        ("", {}),
        ("A=1\nwhat", "line 2: expected NAME=value"),
        ("A=1\nA=2", "line 2: sets A a second time"),
        ("A=${B:-c}", "line 1: variables are not expanded. Write A: {env: VARIABLE}"),
        ("A: [unclosed", "line 1: "),
    ],
)
def test_variables_are_read_as_yaml_or_as_lines(text: str, expected: object) -> None:
    variables, fault = read_variables(text)
    if isinstance(expected, str):
        assert fault.startswith(expected)
    else:
        assert (variables, fault) == (expected, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("log level", "line 1: expected NAME: VALUE, such as log: {level: info}"),
        ("log\nlevel: info", f"line 1: {NO_COLON}"),
        ("log:\n  level info\n  x: y", f"line 2: {NO_COLON}"),
        ("log: {}\nlevel info", f"line 2: {NO_COLON}"),
        ("log:\n  level: info\n\n   x: y", f"line 4: {NOT_YAML}: this line does not match"),
        ("log: a: b", f"line 1: {NOT_YAML}: this line has a second colon"),
        ("%x", f"line 1: {NOT_YAML}: a line cannot begin with %"),
    ],
)
def test_a_line_of_settings_without_a_colon_names_the_form(text: str, expected: str) -> None:
    assert read_mapping(text)[1].startswith(expected)


async def test_an_environment_line_is_taken_and_a_wrong_one_names_its_form(
    servers: FakeServers,
) -> None:
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await wizard.press("alt+6")
        area = wizard.app.screen.query_one("#environment", TextArea)
        area.text = "REGISTRY_LOG_LEVEL=debug"
        await wizard.until(
            lambda: (
                wizard.app.session is not None
                and wizard.app.session.draft.get("registry.environment")
                == {"REGISTRY_LOG_LEVEL": "debug"}
            ),
            "it is in the draft",
        )
        area.text = "REGISTRY_LOG_LEVEL"
        await wizard.pilot.pause()
        fault = str(wizard.app.screen.query_one("#environment-error", Static).content)
        assert fault == "✗ line 1: expected NAME=value, such as REGISTRY_LOG_LEVEL=debug"


async def test_every_problem_of_pasted_settings_is_shown_at_its_line(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS, size=(120, 50)) as wizard:
        await wizard.press("alt+6")
        area = wizard.app.screen.query_one("#settings")
        area.text = "log:\n  formatter: JSON\ncatalog: {maxentries: '5'}\nlgo: {}\n"  # type: ignore[attr-defined]
        await wizard.see(
            "✗ line 2: log.formatter: must be text, json or",
            "✗ line 3: catalog.maxentries: must be a whole number",
            "✗ line 4: lgo: is not a key",
        )


async def test_the_preview_follows_what_is_typed(servers: FakeServers) -> None:
    async with opened(servers, size=(140, 40)) as wizard:
        await wizard.press("enter", "alt+3", "f3")
        await wizard.see("/etc/moorage/registry/blue/config.yml")
        await wizard.press("down", "tab")
        await wizard.type("my-images")
        await wizard.see("»     bucket: my-images", "+   level: info", "+ all new")


async def test_the_preview_begins_with_what_the_answers_mean(servers: FakeServers) -> None:
    async with opened(servers, size=(120, 40)) as wizard:
        await wizard.press("enter")
        await wizard.see("What the answers mean so far", "Address", "not complete yet")
        await wizard.type("registry.example.com")
        await wizard.see(
            "https://registry.example.com", "from a private CA", "on the server's disk"
        )
        assert "config.yml" not in wizard.text
        await wizard.press("alt+5", "down")
        await wizard.see("from Let's Encrypt, through port 80")
        await wizard.press("f3")
        await wizard.see("/etc/nginx/conf.d/moorage.conf")
        await wizard.press("f3")
        await wizard.see("What the answers mean so far")


async def test_the_preview_says_what_is_wrong_and_where_it_shows_an_example(
    servers: FakeServers,
) -> None:
    async with opened(servers, size=(120, 40), prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        await wizard.press("alt+1", "shift+tab", "end")
        await wizard.type(" x")
        await wizard.see("Registry name: must be a DNS name")
        assert "✗ Registry name" not in wizard.text  # it is still being typed
        await wizard.press("alt+3")
        await wizard.see("✗ Registry name: must be a DNS name")
        await wizard.press("f3")
        await wizard.see("! Example in place of: Registry name")
        assert "since the last apply" not in wizard.text


async def test_f3_shows_the_preview_on_narrow_terminals(
    servers: FakeServers,
) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+3")
        assert not wizard.app.screen.query_one(PreviewPane).display
        await wizard.press("f3")
        await wizard.see("config.yml", "filesystem")
        await wizard.press("escape")
        await wizard.see("Where should images be stored?", "3 of 7")


async def test_the_continue_button_shows_its_whole_label_in_every_step(
    servers: FakeServers,
) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        for step, name in (("alt+6", "Next"), ("alt+7", "Apply"), ("alt+1", "Next")):
            await wizard.press(step)
            await wizard.see(f"    {name}    ")


async def test_choices_use_arrow_keys_and_leave_enter_to_the_form(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+5")
        choice = wizard.app.screen.query_one("#mode", Choice)
        assert wizard.app.focused is choice
        await wizard.press("down", "down", "down")
        assert choice.value == "none"
        await wizard.see("load balancer")
        await wizard.press("enter")
        await wizard.see("6 of 7")


async def test_nothing_is_cut_at_80_by_24(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        for step in STEPS:
            await wizard.press(f"alt+{step.number}")
            await wizard.pilot.pause(0.1)
            form = wizard.app.screen.query_one(f"#{step.value}", Form)
            assert form.max_scroll_x == 0, step
            for field in form.query(Field):
                assert field.region.right <= 80


async def test_the_footer_shows_whole_keys_and_how_many_more_there_are(
    servers: FakeServers,
) -> None:
    def whole_keys() -> set[str]:
        footer = wizard.app.screen.query_one(KeyFooter)
        assert footer.render().plain in wizard.text.splitlines()[-1]
        assert footer.shown
        return {each.action for each in footer.shown}

    async with opened(servers) as wizard:
        await wizard.see("? Help ^p More")
        await wizard.new_with_server("alpha")
        for number in range(1, 8):
            await wizard.press(f"alt+{number}")
            await wizard.see(f"{number} of 7", "^p More")
            whole_keys()
        await wizard.press("alt+1")
        await wizard.see("^s Save ? Help ^p More")
        every = whole_keys()
        await wizard.pilot.resize_terminal(70, 24)
        await wizard.see("? 2 more keys ^p More")
        assert len(every - whole_keys()) == 2


async def test_testing_a_server_shows_its_facts(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", extra_facts="tool\tdocker\n")
    servers["beta"] = FakeServer(
        "beta",
        fault=CannotConnect("No route to [host].", advice="Check the address.", server="beta"),
    )
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("ctrl+t")
        await wizard.see("Debian GNU/Linux 12", "docker", "ports 80 and 443 free")
        await wizard.press("a")
        await wizard.type("beta")
        await wizard.press("ctrl+t")
        await wizard.see("No route to [host]. Check the address.")


async def test_testing_a_server_with_an_unsupported_system_fails(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", lacks=("systemd\tyes", "tool\tapt-get"))
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("ctrl+t")
        await wizard.see("✗ alpha: Debian GNU/Linux 12", "apt-get, a running systemd.")
        await wizard.see("Moorage installs on Debian")


async def test_a_refused_sudo_password_is_asked_for_again_by_the_next_test(
    servers: FakeServers,
) -> None:
    servers["alpha"] = FakeServer("alpha", sudo_password="right")
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("Moorage asks for passwords and passphrases")
        await wizard.type("alpha")
        await wizard.press("ctrl+t")
        await wizard.see("Sudo password of admin")
        await wizard.type("wrong")
        await wizard.press("enter")
        await wizard.see("Wrong password, try again")
        await wizard.press("escape")
        await wizard.see("sudo asks for the password", "Press Ctrl+T to test again")
        assert "sudo_password" not in wizard.text
        await wizard.press("ctrl+t")
        await wizard.see("Sudo password of admin")
        await wizard.type("right")
        await wizard.press("enter")
        await wizard.see("✓ Debian GNU/Linux 12", "sudo works")


async def test_key_file_and_jump_hosts_are_checked_beside_their_fields(
    servers: FakeServers, home: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "id"], check=True)
    async with opened(servers, size=(120, 40)) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("e", "tab", "tab", "tab")
        for text, said in (
            ("~/none", "✗ The key ~/none cannot be read: no such file"),
            ("~/id.pub", "✗ The key ~/id.pub cannot be used"),
            ("~/ssh_config", "✗ The key ~/ssh_config cannot be used"),
            ("~/id", "A private key file. Default"),
        ):
            await wizard.press("ctrl+u")
            await wizard.type(text)
            await wizard.press("tab")
            await wizard.see(said)
            await wizard.press("shift+tab")
        await wizard.press("tab")
        for text, said in (
            ("a b", "✗ expected USER@HOST:PORT (user"),
            ("bastion:99999", "✗ the port must be from 1 to 65535"),
            ("one,", "separate several with commas"),
        ):
            await wizard.press("ctrl+u")
            await wizard.type(text)
            await wizard.press("enter")
            await wizard.see(said)
        await wizard.press("ctrl+u")
        await wizard.type("admin@one:22,two")
        await wizard.press("ctrl+s")
        await wizard.see("Where should the registry run?", "alpha")
    assert wizard.app.session is not None
    (server,) = wizard.app.session.draft.items("servers")
    assert server == {"host": "alpha", "key": "~/id", "jump": "admin@one:22,two"}


async def test_steps_named_in_ask_are_opened(servers: FakeServers) -> None:
    answers = {
        "version": 1,
        "registry": {"domain": "registry.example.com"},
        "servers": [{"host": "alpha"}],
        "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        "ask": ["storage", "ssl"],
    }
    async with opened(servers, prefill=answers) as wizard:
        await wizard.see("Storage  3 of 7")
        await wizard.press("enter")
        await wizard.see("SSL  5 of 7")
        await wizard.press("enter")
        await wizard.see("Review  7 of 7", "1 server:")
        assert wizard.app.session is not None
        assert Step.DNS in wizard.app.session.progress.visited


async def test_the_certificate_at_the_last_typed_path_is_described(
    servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)  # A long path is wrapped anywhere.
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20",
         "-subj", "/CN=other.example.com", "-addext", "subjectAltName=DNS:other.example.com",
         "-keyout", "k.pem", "-out", "c.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    async with opened(servers, size=(120, 40)) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("alt+5", "down", "down", "tab")
        await wizard.type("c.pem")
        await wizard.press("tab")
        await wizard.type("k.pem")
        await wizard.see("Names   other.example.com", "days left")
        await wizard.see("✗ The certificate is not valid for", "its names: other.example.com")
        assert "cannot be read" not in wizard.text
        await wizard.type("x")
        await wizard.press("shift+tab")
        await wizard.see("cannot be read: no such file")


async def test_type_ahead_after_tab_reaches_the_next_field(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("Key file")
        for key in ["a", "l", "p", "h", "a", "tab", "r", "o", "o", "t", "tab", "2", "2"]:
            wizard.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await wizard.see("alpha", "root", "22")
        await wizard.press("ctrl+s")
        assert wizard.app.session is not None
        assert wizard.app.session.draft.items("servers") == [
            {"host": "alpha", "user": "root", "port": "22"}
        ]


async def test_long_text_that_arrives_as_keys_is_typed(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.see("Key file")
        long = "ä" * 10_240
        for key in [*"abc", "enter", *long, "left", "x", "tab", *"22", "enter", *"~/k"]:
            wizard.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await wizard.see("Port             22", "▌~/k")
        server, user, *_ = wizard.app.screen.query(Field)
        assert server.value == "abc"
        assert user.value == "ä" * 10_239 + "xä"


async def test_alt_and_a_number_typed_ahead_is_not_text(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        for key, character in (*zip("abc", "abc", strict=True), ("alt+2", "2"), ("alt+3", "3")):
            wizard.app.post_message(events.Key(key, character))  # as terminals send them
        await wizard.see("Storage  3 of 7")
        assert wizard.app.session is not None
        assert wizard.app.session.draft.domain == "abc"


async def test_a_second_try_at_a_password_goes_to_its_prompt(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", login=LOGIN, password="harbour-bell")
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.type("alpha")
        await wizard.press("ctrl+t")
        await wizard.see("Or a key file")
        for guess in ("habour-bell", "harbour-bel"):
            await wizard.type(guess)
            await wizard.press("enter")
            await wizard.see("✗ Wrong password, try again")
        await wizard.type("harbour-bell")
        await wizard.press("enter")
        await wizard.see("Add a server", "✓ Debian")
        assert not any("bell" in field.value for field in wizard.app.screen.query(Field))
