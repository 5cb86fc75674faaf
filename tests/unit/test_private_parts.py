"""The private parts of libraries that Moorage uses or overrides exist as it expects them.

They can change in any release: raise an upper bound in pyproject.toml only when this passes.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from paramiko import Transport
from paramiko.auth_handler import AuthHandler
from paramiko.packet import Packetizer
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widgets import Input
from textual_serve.server import Server

import moorage
import screens
import tui

OVERRIDDEN = {
    (AuthHandler, "_parse_service_accept"): ("self", "m"),
    (AuthHandler, "_parse_userauth_failure"): ("self", "m"),
    (AuthHandler, "_parse_userauth_info_request"): ("self", "m"),
    (App, "_handle_exception"): ("self", "error"),
    (Screen, "_forward_event"): ("self", "event"),
    (Input, "_on_paste"): ("self", "event"),
    (Server, "_make_app"): ("self",),
}
"""Private methods that a class of Moorage overrides, with their parameters."""
CALLED = {
    (Transport, "_send_message"): ("self", "data"),
    (Transport, "_send_user_message"): ("self", "data"),
    (Packetizer, "readline"): ("self", "timeout"),
    (Packetizer, "read_all"): ("self", "n", "check_rekey"),
}
"""Undocumented methods that Moorage calls."""


@pytest.mark.parametrize(("owner", "name"), [*OVERRIDDEN, *CALLED])
def test_takes_what_we_expect(owner: type, name: str) -> None:
    expected = (OVERRIDDEN | CALLED)[owner, name]
    assert tuple(inspect.signature(getattr(owner, name)).parameters) == expected


def test_paramiko_calls_what_we_override() -> None:
    source = inspect.getsource(AuthHandler)
    for owner, name in OVERRIDDEN:
        if owner is AuthHandler:
            assert len(re.findall(rf"\b{name}\b", source)) > 1
    assert "packetizer_class" in inspect.signature(Transport.__init__).parameters
    assert {"auth_event", "auth_method", "authenticated"} <= set(re.findall(r"self\.(\w+)", source))


def test_textual_knows_when_a_widget_is_leaving() -> None:
    pump = MessagePump()
    assert (pump._closing, pump._closed) == (False, False)
    assert "self._pruning" in inspect.getsource(importlib.import_module("textual.widget"))


def test_textual_knows_the_keys_of_terminals() -> None:
    assert [str(key.value) for key in ANSI_SEQUENCES_KEYS["\x1b[A"]] == ["up"]


def test_no_other_private_method_is_overridden() -> None:
    expected = {(owner.__module__.split(".")[0], name) for owner, name in OVERRIDDEN}
    assert {(library, name) for library, name in _overridden()} == expected


def _overridden() -> Iterator[tuple[str, str]]:
    for cls in (cls for module in _modules() for cls in _classes_of(module)):
        for name in vars(cls):
            if name.startswith("_") and not name.startswith("__") and name not in _MADE_BY_TEXTUAL:
                owner = next((base for base in cls.__mro__[1:] if name in vars(base)), None)
                library = owner.__module__.split(".")[0] if owner else ""
                if library in {"paramiko", "textual", "textual_serve"}:
                    yield library, name


def _modules() -> Iterator[ModuleType]:
    for package in (moorage, tui, screens):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def _classes_of(module: ModuleType) -> Iterator[type]:
    for cls in vars(module).values():
        if inspect.isclass(cls) and cls.__module__ == module.__name__:
            yield cls


_MADE_BY_TEXTUAL = {
    "_abc_impl", "_classes", "_computes", "_css_type_name", "_css_type_names",
    "_decorated_handlers",
    "_default_css", "_has_render", "_inherit_bindings", "_inherit_component_classes",
    "_inherit_css", "_merged_bindings", "_reactives",
}  # fmt: skip
"""What Textual adds to each class."""
