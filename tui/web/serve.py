"""Serves the wizard to browsers through textual-serve, by default on this machine only."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from moorage.errors import MoorageError

_COOKIE = "moorage-session"
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WizardServer(Server):
    """A web server for the wizard, protected by a token that works once.

    The first request with the token gets a cookie that is valid until the server stops. Requests
    that name another host (DNS rebinding) or come from another site are refused.

    Args:
        command: The command to run for each browser tab.
        host: The address to listen on.
        port: The port to listen on.
        token: The token, or None to serve everyone who can reach the port.
    """

    def __init__(self, command: str, host: str, port: int, token: str | None) -> None:
        shown = f"[{host}]" if ":" in host else host
        super().__init__(
            command,
            host=host,
            port=port,
            title="Moorage",
            public_url=f"http://{shown}:{port}",
            templates_path=str(Path(__file__).parent),
        )
        self._token = token
        self._is_open = token is None
        self._cookie = secrets.token_urlsafe(32)

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"{self.public_url}/?token={self._token}" if self._token else self.public_url

    def initialize_logging(self) -> None:
        """Log nothing: passwords pass through here as they are typed."""
        logging.getLogger("textual-serve").setLevel(logging.CRITICAL)

    async def on_startup(self, app: web.Application) -> None:
        """Print the address once the server accepts connections."""
        self._announcing = asyncio.create_task(self._announce())

    async def _announce(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        print(self.address, flush=True)
        words = "The address works once. " if self._token else ""
        print(f"{words}Press Ctrl+C to stop the server.", file=sys.stderr, flush=True)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        own = urlsplit(self.public_url).netloc
        origin = request.headers.get("Origin")
        is_local = self.host in {"127.0.0.1", "::1", "localhost"}
        if is_local and request.host not in {own, f"localhost:{self.port}"}:
            raise web.HTTPForbidden(text="Open the address that moorage --web printed.")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="This request comes from another site.")
        if self._is_open:
            return await self._with_headers(handler, request)
        given = request.query.get("token", "")
        if given and self._token and hmac.compare_digest(given.encode(), self._token.encode()):
            self._token = None
            answer = web.HTTPFound("/", headers=_HEADERS)
            answer.set_cookie(_COOKIE, self._cookie, httponly=True, samesite="Strict")
            return answer
        cookie = request.cookies.get(_COOKIE, "")
        if not hmac.compare_digest(cookie.encode(), self._cookie.encode()):
            raise web.HTTPForbidden(
                text="This address was already used, or is not the one that moorage --web printed.",
                headers=_HEADERS,
            )
        return await self._with_headers(handler, request)

    @staticmethod
    async def _with_headers(handler: Handler, request: web.Request) -> web.StreamResponse:
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response


def serve_wizard(file: Path | None, host: str, port: int, *, with_token: bool) -> int:
    """Serve the wizard until Ctrl+C, and return the exit code.

    Args:
        file: The answers file to open, or None.
        host: The address to listen on.
        port: The port to listen on; 0 picks a free one.
        with_token: Whether to require the token in the printed address.

    Raises:
        MoorageError: Cannot listen on the address.
    """
    words = [sys.executable, "-m", "moorage", *([str(file)] if file else [])]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as listener:
            port = listener.getsockname()[1]
    except OSError as error:
        why = (error.strerror or "no such address").lower()
        raise MoorageError(
            f"Cannot listen on {host}:{port}: {why}.", code="cannot_listen"
        ) from error
    token = secrets.token_urlsafe(24) if with_token else None
    WizardServer(shlex.join(words), host, port, token).serve()
    return 0
