"""Walks through the wizard's screens, for tests that look at all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from fake_server import DONE, FakeServer, FakeServers, no_answer, some_user
from opening import opened
from sample_images import sample_images
from wizard_driver import Wizard

from moorage.answers.save import save
from moorage.deploy.name import NamePlan
from moorage.dns.operations import DnsPlan
from moorage.dns.records import RecordChange, RecordSet
from moorage.errors import SecretName
from moorage.images.activity import Index
from moorage.servers.transport import LoginRequest
from screens.review.step import ReviewPane
from tui.document import store
from tui.document.draft import Draft

ANSWERS = {
    "version": 1,
    "registry": {"domain": "registry.example.com"},
    "servers": [{"host": "alpha"}],
    "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
}
LOGIN = LoginRequest(
    SecretName("password", "root"),
    "alpha",
    "No key was accepted for root. Tried: 2 keys from the ssh agent, ~/.ssh/id_[rsa].",
    ("publickey", "password"),
)
LOG = "@step\t0\tpackages\nGet:1 something\nW: a warning\nE: an error\n"
STEPS = ("servers", "credentials", "storage", "dns", "ssl", "advanced")


async def every_screen(
    size: tuple[int, int], theme: str = "moorage-dark"
) -> AsyncIterator[tuple[str, Wizard]]:
    """Yield the name of each screen while it is shown."""
    servers = FakeServers()
    servers["alpha"] = FakeServer("alpha", log=LOG, waits_for_abort=True)
    async with opened(servers, size=size) as wizard:
        wizard.app.theme = theme
        await wizard.pilot.pause()
        yield "welcome", wizard
        await wizard.press("c")
        yield "connect", wizard
        await wizard.press("escape", "enter")
        yield "servers, empty", wizard
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        yield "server dialog", wizard
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        wizard.app.theme = theme
        await wizard.see("1 server:")
        await wizard.see("/etc/moorage/registry/blue/config.yml")
        yield "review, file", wizard
        await wizard.press("home")
        yield "review, server", wizard
        for number, step in enumerate(STEPS, start=1):
            await wizard.press(f"alt+{number}")
            await wizard.see(f"{number} of 7")
            yield step, wizard
        await wizard.press("alt+2", "a")
        yield "credentials dialog", wizard
        await wizard.press("escape", "alt+3", "down")
        yield "storage, S3", wizard
        wizard.app.screen.query_one("#paste").focus()
        await wizard.press("enter")
        yield "paste", wizard
        await wizard.press("escape", "alt+3")
        await wizard.press("tab", "tab", "shift+tab", "f1")
        yield "help", wizard
        await wizard.press("escape", "alt+3", "up", "f3")
        yield "preview", wizard
        await wizard.press("escape" if size[0] < 120 else "f3", "ctrl+p")
        await wizard.see("Key Ctrl+")
        yield "palette", wizard
        await wizard.press("escape", "alt+7")
        await wizard.see("1 server:")
        await wizard.press("enter")
        yield "confirm", wizard
        await wizard.press("enter")
        await wizard.see("Installing packages")
        yield "apply", wizard
        await wizard.press("escape")
        yield "cancel", wizard
        await wizard.press("escape")
        await wizard.until(servers["alpha"].has_begun.is_set, "the run begins")
        servers["alpha"].aborted.set()
        await wizard.see("Apply failed")
        yield "apply, failed", wizard
        await wizard.press("enter")
        await wizard.see("The apply did not complete.")
        yield "done, failed", wizard
    async for name, wizard in _login(size, theme):
        yield name, wizard
    async for name, wizard in _users(size, theme):
        yield name, wizard


async def _login(size: tuple[int, int], theme: str) -> AsyncIterator[tuple[str, Wizard]]:
    """Yield what is asked for while servers are reached, and the records of a name."""
    servers = FakeServers()
    servers["alpha"] = FakeServer("alpha", login=LOGIN, log=LOG, waits_for_abort=True)
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        wizard.app.theme = theme
        await wizard.see("Or a key file")
        yield "login", wizard
        await wizard.type("hush")
        await wizard.press("enter")
        await wizard.see("1 server:")
        assert wizard.app.session is not None
        wizard.app.session.operations.name = NamePlan(dns_plan())
        pane = wizard.app.screen.query_one(ReviewPane)
        assert wizard.app.session.operations.plan is not None
        pane._show_plan(wizard.app.session.operations.plan)
        await wizard.see("DNS")
        await wizard.press("home", "down")
        yield "review, records", wizard
        await wizard.press("enter")
        await wizard.see("Apply and replace them")
        yield "confirm, records", wizard
        await wizard.press("tab", "enter")
        await wizard.see("Installing packages")
        yield "apply, records", wizard
        await wizard.until(servers["alpha"].has_begun.is_set, "the run begins")
        servers["alpha"].aborted.set()
        await wizard.see("Apply failed")


def dns_plan() -> DnsPlan:
    """Return a change of two record sets, one of them somebody else's."""
    name = ANSWERS["registry"]["domain"]  # type: ignore[index]
    before = RecordSet.of(name, "A", ["198.51.100.7"], 60)
    wanted = RecordSet.of(name, "A", ["203.0.113.10"], 300)
    wanted6 = RecordSet.of(name, "AAAA", ["2001:db8::10"], 300)
    changes = (RecordChange(before, wanted, is_foreign=True), RecordChange(None, wanted6))
    return DnsPlan(name, Zone(), (wanted, wanted6), (before,), changes)


class Zone:
    """A zone nobody changes."""

    title = "rfc2136 on 192.0.2.53, zone example.com"
    can_write = True

    def read(self, name: str) -> tuple[RecordSet, ...]:
        return ()

    def write(self, changes: Sequence[RecordChange]) -> None:
        raise NotImplementedError


async def _users(size: tuple[int, int], theme: str) -> AsyncIterator[tuple[str, Wizard]]:
    """Yield the users screen and its dialogs."""
    store.keep_applied(Draft(ANSWERS))
    alpha = FakeServer("alpha")
    alpha.put(
        [some_user("ana", "pull", "team-a/*"), some_user("bob", disabled=True), some_user("ci")]
    )
    servers = FakeServers()
    servers["alpha"] = alpha
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        wizard.app.theme = theme
        await wizard.see("Dashboard")
        await wizard.press("u")
        await wizard.see("3 users")
        await wizard.press("x", "down", "d", "down", "a")
        yield "user dialog", wizard
        await wizard.type("dora")
        await wizard.press("ctrl+s")
        await wizard.see("+ added")
        yield "users, staged", wizard
        await wizard.press("e")
        yield "access", wizard
        await wizard.press("escape", "i")
        yield "import", wizard
        await wizard.press("escape", "enter")
        await wizard.see("What will change")
        yield "changes", wizard
        await wizard.press("v")
        yield "changed files", wizard
        alpha.result = "@result\tfailed\tno luck\n"
        await wizard.press("enter")
        await wizard.see("Your changes are kept")
        yield "change failed", wizard
        await wizard.press("enter")
        alpha.result = DONE
        await wizard.see("3 staged", "up to date")
        await wizard.press("enter")
        await wizard.see("What will change")
        await wizard.press("enter")
        await wizard.see("Password of dora")
        yield "password", wizard
    async for name, wizard in _start(size, theme):
        yield name, wizard


async def _start(size: tuple[int, int], theme: str) -> AsyncIterator[tuple[str, Wizard]]:
    """Yield the start with something on its list."""
    for name, state in (("one", ""), ("two", "applied")):
        file = Path(f"{name}.yml").absolute()
        save(Draft(ANSWERS).answers(), file)
        store.remember(file, f"{name}.example.com", state=state)
    async with opened(FakeServers(), size=size) as wizard:
        wizard.app.theme = theme
        await wizard.see("attention")
        yield "welcome, recents", wizard
        await wizard.press("d")
        yield "take off the list", wizard
        await wizard.press("escape", "enter")
        await wizard.see("Dashboard", "Debian")
        yield "dashboard", wizard
        await wizard.press("l")
        await wizard.see("Logs")
        yield "logs", wizard
    async for name, wizard in _dashboard(size, theme):
        yield name, wizard
    async for name, wizard in _images(size, theme):
        yield name, wizard


async def _dashboard(size: tuple[int, int], theme: str) -> AsyncIterator[tuple[str, Wizard]]:
    """Yield the dashboard's tabs, and the log of a run."""
    store.keep_applied(Draft(ANSWERS))
    alpha = FakeServer("alpha", images=sample_images(Path("for-tabs").absolute()).root)
    alpha.put([some_user("ci"), some_user("bob", disabled=True)])
    alpha.activity = Index()
    alpha.activity.failed = {(500_000, 404): 12, (500_000, 502): 3}
    alpha.activity.hours = {500_000: [90, 15, 5_000, 1, 1]}
    alpha.activity.events.append((1_800_000_000, "delete", "ci", "team-a/app", "v1"))
    run = "20261128T110000000-bbbb\tno\t1795863700\t1795863600\tapply\tpackages"
    alpha.history = f"run\t{run}\tfailed\tcannot_write\t/etc/x\nend\n".encode()
    alpha.run_log = b"@step\t1\tpackages\nSetting up nginx\nW: odd\nE: no luck\n"
    servers = FakeServers()
    servers["alpha"] = alpha
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        wizard.app.theme = theme
        await wizard.see("Dashboard", "Debian")
        for number, name in enumerate(("images", "users", "activity", "runs"), start=2):
            await wizard.press(str(number))
            await wizard.see(f"▌{number} ", "as of")
            yield f"dashboard, {name}", wizard
        await wizard.press("enter")
        await wizard.see("E: no luck")
        yield "run log", wizard


async def _images(size: tuple[int, int], theme: str) -> AsyncIterator[tuple[str, Wizard]]:
    """Yield the images: none, some, those found, and an error."""
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    servers = FakeServers()
    servers["alpha"] = alpha
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        wizard.app.theme = theme
        await wizard.see("Dashboard")
        await wizard.press("i")
        await wizard.see("No images yet")
        yield "images, none", wizard
        alpha.images = sample_images(Path("storage").absolute()).root
        await wizard.press("r")
        await wizard.see("7 repositories by own size", "as of")
        yield "images", wizard
        await wizard.press("s", "s", "s", "s", "home", "right")
        await wizard.see("1 blob is missing")
        yield "images, tag", wizard
        await wizard.press("left", "end", "right", "home", "enter")
        await wizard.see("rootfs")
        yield "image", wizard
        await wizard.press("escape", "escape")
        await wizard.press("slash")
        await wizard.type("team")
        await wizard.see("18 tags found")
        yield "images, found", wizard
        alpha.images_fault = no_answer("alpha")
        await wizard.press("escape", "r")
        await wizard.see("No answer")
        yield "images, error", wizard
