"""Chromium, controlled through its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0", "--window-size=1200,800",
)  # fmt: skip


class Browser:
    """A browser with one page.

    Args:
        profile: Its profile folder.
    """

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self._number = 0

    async def __aenter__(self) -> Self:
        self._process = subprocess.Popen(
            ["chromium", *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port_file = self._profile / "DevToolsActivePort"
        for _ in range(1200):
            if port_file.exists() and port_file.read_text().count("\n") >= 1:
                break
            await asyncio.sleep(0.1)
        port = port_file.read_text().splitlines()[0]
        self._http = aiohttp.ClientSession()
        async with self._http.get(f"http://127.0.0.1:{port}/json") as answer:
            pages = [page for page in await answer.json() if page["type"] == "page"]
        self._socket = await self._http.ws_connect(
            pages[0]["webSocketDebuggerUrl"], max_msg_size=64 * 1024**2
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._socket.close()
        await self._http.close()
        self._process.terminate()
        self._process.wait(120)

    async def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=120)
            if message.get("id") == self._number:
                result: dict[str, Any] = message.get("result", {})
                return result

    async def open(self, address: str) -> None:
        """Go to an address."""
        await self._call("Page.navigate", url=address)

    async def value_of(self, script: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        found = await self._call("Runtime.evaluate", expression=script, returnByValue=True)
        return found.get("result", {}).get("value")

    async def wait_for(self, script: str, seconds: float = 120) -> None:
        """Wait until a JavaScript expression in the page is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if await self.value_of(script):
                return
            await asyncio.sleep(0.1)
        body = await self.value_of("document.body.outerHTML")
        raise AssertionError(f"{script} never became true: {str(body)[:2000]}")

    async def type(self, text: str) -> None:
        """Type text key by key; a newline is Enter."""
        for character in text:
            is_enter = character == "\n"
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            if not is_enter:
                key = {"key": character, "text": character}
            await self._call("Input.dispatchKeyEvent", type="keyDown", **key)
            await self._call("Input.dispatchKeyEvent", type="keyUp", **key)

    async def press(self, key: str, code: int, *, control: bool = False) -> None:
        """Press a key that types no text, such as F8.

        Args:
            key: Its name.
            code: Its Windows virtual key code.
            control: Whether Ctrl is held.
        """
        for kind in ("rawKeyDown", "keyUp"):
            await self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                             windowsVirtualKeyCode=code, modifiers=2 * control)  # fmt: skip

    async def click(self, x: int, y: int) -> None:
        """Click at a position in the page, in pixels."""
        for kind in ("mousePressed", "mouseReleased"):
            await self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                             clickCount=1)  # fmt: skip

    async def picture(self, path: Path) -> None:
        """Take a screenshot of the page."""
        found = await self._call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))
