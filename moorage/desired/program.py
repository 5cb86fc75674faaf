"""Programs for servers: some of Moorage's modules in one file, which needs Python only."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

RECOVER = ("images", "images.strenum", "images.sweep", "images.boot")
"""The modules that put back what an interrupted sweep has moved."""
COLLECT = (
    "units", "images", "images.strenum", "images.manifests", "images.tree", "images.alive",
    "images.activity", "images.asked", "images.hold", "images.read", "images.settings",
    "images.sweep", "images.contents", "images.spare", "images.collection", "images.restore",
    "images.retention", "images.task", "images.collector", "images.schedule",
)  # fmt: skip
"""The modules that apply the retention rules and collect."""

_HEAD = """\
#!/usr/bin/python3
# Written by Moorage. {purpose}
# Its modules are below as text, each under its name. They need nothing but Python 3.9 or newer.
import importlib.abc
import importlib.util
import sys

SOURCES = {{"moorage": ""}}


class Modules(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in SOURCES else None

    def is_package(self, name):
        return any(each.startswith(name + ".") for each in SOURCES)

    def get_source(self, name):
        return SOURCES[name]


"""
_TAIL = """\

sys.meta_path.insert(0, Modules())
sys.dont_write_bytecode = True

from {entry} import main

sys.exit(main(*sys.argv[1:]))
"""


def program(modules: Sequence[str], purpose: str) -> bytes:
    """Return a program that calls `main` of its last module with its arguments.

    Args:
        modules: The modules, below `moorage`.
        purpose: A sentence for the administrator who opens the file.
    """
    parts = [_HEAD.format(purpose=purpose)]
    parts += [f'SOURCES["moorage.{each}"] = {_quoted(_source(each))}\n' for each in modules]
    parts.append(_TAIL.format(entry=f"moorage.{modules[-1]}"))
    return "".join(parts).encode()


def _source(module: str) -> str:
    *folders, name = module.split(".")
    found = files("moorage").joinpath(*folders)
    below = found.joinpath(f"{name}.py")
    source = below if below.is_file() else found.joinpath(name, "__init__.py")
    return source.read_text(encoding="utf-8")


def _quoted(text: str) -> str:
    """Return a text as Python source that can still be read."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""\\\n{escaped}"""'
