"""Lines to paste: never wrapped on the screen, whatever its width."""

from __future__ import annotations

from pathlib import Path

from fake_server import FakeServers
from opening import opened
from textual.widgets import Static

from moorage.answers.secrets import Secret
from moorage.deploy.certificates import ca
from moorage.deploy.clients import Access, client_setups
from tui.widgets.copy_block import CopyBlock, CopyDialog, Lines, setup_block

DOMAIN = "registry.example.com"


def clients() -> CopyDialog:
    authority = ca.create("Moorage private CA", DOMAIN).certificate_pem.decode().strip()
    setups = client_setups(Access(DOMAIN, DOMAIN, "ci", authority))
    return CopyDialog("Clients", "Paste the lines.", [setup_block(each) for each in setups])


async def test_lines_to_paste_are_not_wrapped(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        wizard.app.push_screen(clients())
        await wizard.see("Clients", "$sudo mkdir -p")
        dialog = wizard.app.screen
        for block in dialog.query(CopyBlock):
            lines = block.query_one(Lines)
            assert lines.query_one(Static).size.height == len(block.text.splitlines())
            # The scroll bar hides no line.
            assert lines.scrollable_content_region.height == len(block.text.splitlines())
        room = dialog.query(Lines).first().scrollable_content_region.width
        assert room >= 64, "a certificate's lines do not fit"


async def test_wide_lines_scroll_sideways_with_keys(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        wizard.app.push_screen(clients())
        await wizard.see("$sudo mkdir -p")
        lines = wizard.app.screen.query(Lines).first()
        lines.focus()
        lines.scroll_visible(animate=False)
        await wizard.press("right")
        await wizard.see("/dev/null <<'END'")
        await wizard.press("left")
        await wizard.until(lambda: lines.scroll_x == 0, "scrolled back")


async def test_lines_are_saved_to_a_file(servers: FakeServers, home: Path) -> None:
    async with opened(servers) as wizard:
        wizard.app.push_screen(clients())
        await wizard.see("$sudo mkdir -p")
        block = wizard.app.screen.query(CopyBlock).first()
        block.query_one(Lines).focus()
        await wizard.press("s")
        await wizard.see("✓ Saved in")
        saved = str(block.query_one(".copy--saved", Static).content).removeprefix("✓ Saved in ")
        assert saved.startswith("~/")
        path = Path(saved).expanduser()
        assert path.read_text(encoding="utf-8") == f"{block.text}\n"
        assert path.stat().st_mode & 0o77 == 0


async def test_a_password_is_not_saved(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        block = CopyBlock("Password of ci", "geheim", Secret("geheim"))
        wizard.app.push_screen(CopyDialog("Passwords", "Copy them.", [block]))
        await wizard.see("Password of ci")
        assert not block.query(".copy--save")
        assert block.check_action("save_lines", ()) is False
