"""Programs for servers: some of Moorage's modules in one file, which needs Python only."""

from __future__ import annotations

import re
from importlib.resources import files

_IMPORT = re.compile(r"^ *from moorage\.([a-z_.]+) import", re.MULTILINE)
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


def program(module: str, purpose: str) -> bytes:
    """Return a program that calls `main` of a module with its arguments.

    Args:
        module: The module, below `moorage`; it and what it imports need the standard library only.
        purpose: A sentence for the administrator who opens the file.
    """
    parts = [_HEAD.format(purpose=purpose)]
    sources = _with_imports(module)
    parts += [f'SOURCES["moorage.{each}"] = {_quoted(sources[each])}\n' for each in sorted(sources)]
    parts.append(_TAIL.format(entry=f"moorage.{module}"))
    return "".join(parts).encode()


def _with_imports(module: str) -> dict[str, str]:
    """Return the sources of a module, of the packages it is in, and of all that it imports."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = _source(each)
            waiting += _IMPORT.findall(found[each])
            waiting += [each.rpartition(".")[0]] if "." in each else []
    return found


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
