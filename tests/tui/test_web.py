"""The wizard in a browser: who gets in, and what a real browser shows."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from browser import Browser
from patience import slowness

import moorage

# Where the second bar across the page is, in pixels from the top: the header is the first, and at
# the start the row that is chosen is the next. How high rows are is up to the machine's fonts.
SECOND_BAR = """(() => {
    const canvas = document.querySelector('.xterm-text-layer');
    const pixels = canvas.getContext('2d');
    const column = pixels.getImageData(700 * devicePixelRatio, 0, 1, canvas.height);
    const colours = new Uint32Array(column.data.buffer), empty = colours[canvas.height >> 1];
    const bars = [];
    for (let top = 0, y = 1; y <= canvas.height; y++) {
        if (colours[y] === colours[top]) continue;
        if (y - top >= 10 && colours[top] !== empty) bars.push((top + y) / 2 / devicePixelRatio);
        top = y;
    }
    return bars.length > 1 ? bars[1] : null;
})()"""
SOURCE = str(Path(moorage.__file__).parents[1])


@contextmanager
def served(*options: str) -> Iterator[str]:
    """Run ``moorage --web`` and yield the address it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moorage", "--web", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(120)


def status_of(url: str, opener: urllib.request.OpenerDirector | None = None, **headers: str) -> int:
    """Ask for an address and return the answer's status."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with (opener or urllib.request.build_opener()).open(request, timeout=120) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_address_works_once_and_nothing_works_without_it() -> None:
    with served() as address:
        assert address.startswith("http://127.0.0.1:")
        bare = address.partition("?")[0]
        assert status_of(bare) == 403
        assert status_of(f"{bare}ws") == 403
        assert status_of(f"{bare}static/js/textual.js") == 403
        assert status_of(f"{bare}?token=wrong") == 403
        friend = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        assert status_of(address, friend) == 200
        assert status_of(bare, friend) == 200
        assert status_of(address) == 403  # spent
        assert status_of(bare, friend, Host="evil.example.com") == 403
        assert status_of(bare, friend, Origin="http://evil.example.com") == 403


def test_without_a_token_only_this_machine_can_connect() -> None:
    with served("--web-no-token") as address:
        assert "token" not in address
        assert status_of(address) == 200
        assert status_of(address, None, Host="evil.example.com") == 403


def test_the_page_loads_nothing_from_other_hosts() -> None:
    page = (Path(SOURCE) / "tui" / "web" / "app_index.html").read_text()
    assert not re.search(r"https?://", page)


async def is_kept(drafts: Path, text: str, seconds: float = 120) -> bool:
    """Wait until a text is in a draft, and return whether it is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(text in each.read_text() for each in drafts.glob("new-*.yml")):
            return True
        await asyncio.sleep(0.1)
    return False


async def type_name(browser: Browser, drafts: Path) -> None:
    """Type the registry's name; once more, if its field took the focus only after the first key."""
    for _ in range(5):
        await asyncio.sleep(1 * slowness())
        await browser.type("registry.example.com")
        if await is_kept(drafts, "domain: registry.example.com", 10 * slowness()):
            return
        await browser.press("u", 85, control=True)
    raise AssertionError("the name is in no draft")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
async def test_the_wizard_is_used_in_a_real_browser(tmp_path: Path, home: Path) -> None:
    drafts = home / "state" / "drafts"
    with served() as address:
        async with Browser(tmp_path / "profile") as browser:
            await browser.open(address)
            await browser.wait_for("document.body.classList.contains('-first-byte')")
            assert "token" not in await browser.value_of("location.href")
            await browser.wait_for(SECOND_BAR)
            place = await browser.value_of(SECOND_BAR)
            await browser.click(90, int(place))  # New deployment
            await browser.wait_for(f"{SECOND_BAR} !== {place}")
            await type_name(browser, drafts)
            await browser.picture(tmp_path / "wizard.png")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
async def test_keys_work_in_a_browser_without_a_click(tmp_path: Path, home: Path) -> None:
    drafts = home / "state" / "drafts"
    with served() as address:
        async with Browser(tmp_path / "profile") as browser:
            await browser.open(address)
            await browser.wait_for("document.body.classList.contains('-first-byte')")
            await browser.wait_for(SECOND_BAR)
            place = await browser.value_of(SECOND_BAR)
            await browser.type("n")
            await browser.wait_for(f"{SECOND_BAR} !== {place}")
            await type_name(browser, drafts)
            await browser.type("\n")  # opens the dialog for the first server
            await asyncio.sleep(1 * slowness())
            await browser.type("alpha")
            await browser.press("s", 83, control=True)
            assert await is_kept(drafts, "host: alpha")
            await browser.press("F8", 119)
            await asyncio.sleep(1 * slowness())
            await browser.press("F10", 121)  # leaves, and saves the step as well
            assert await is_kept(drafts, "left_at: credentials")
