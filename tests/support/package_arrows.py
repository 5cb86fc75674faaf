"""The package diagram in ARCHITECTURE.md, generated from the imports.

``python tests/support/package_arrows.py`` updates ARCHITECTURE.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN = "<!-- The picture is written by: python tests/support/package_arrows.py -->\n"
END = "<!-- The end of the picture. -->\n"

APP = "tui (app)"
"""The modules of tui that import screens, directly or indirectly."""
SHARED = "tui (shared)"

Arrows = Mapping[str, Set[str]]


def package_arrows() -> Arrows:
    """Return the imported packages of each package.

    Packages that import each other are merged as ``a + b``. Modules directly in moorage/, such as
    errors, are left out: every package can use them.
    """
    graph = grimp.build_graph("moorage", "tui", "screens", "templates")
    app = graph.find_downstream_modules("screens", as_package=True)
    arrows: dict[str, set[str]] = defaultdict(set)
    for module in sorted(graph.modules):
        own = _package(module, app)
        imported = graph.find_modules_directly_imported_by(module)
        arrows[own] |= {_package(each, app) for each in imported} - {own}
    arrows.pop("")
    return _joined({each: targets - {""} for each, targets in arrows.items()})


def _package(module: str, app: Set[str]) -> str:
    """Return the package of a module in the diagram; empty for a module directly in moorage/."""
    top, _, rest = module.partition(".")
    if top == "tui":
        return APP if module in app else SHARED
    if top == "moorage":
        below = rest.partition(".")[0]
        is_package = below and (ROOT / "moorage" / below).is_dir()
        return f"moorage/{below}" if is_package else ""
    return top


def _joined(arrows: Arrows) -> Arrows:
    """Return the arrows with packages that import each other merged."""
    below = {each: _reached(each, arrows) for each in arrows}
    name = {
        each: " + ".join(sorted({each} | {o for o in below[each] if each in below[o]}))
        for each in arrows
    }
    joined: dict[str, set[str]] = defaultdict(set)
    for each, targets in arrows.items():
        joined[name[each]] |= {name[target] for target in targets} - {name[each]}
    return joined


def _reached(start: str, arrows: Arrows) -> Set[str]:
    found: set[str] = set()
    waiting = list(arrows[start])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += arrows[each]
    return found


def picture() -> str:
    """Return the packages as a Mermaid flowchart, without arrows that others imply."""
    arrows = package_arrows()
    reached = {each: _reached(each, arrows) for each in arrows}
    # Entry points first, then each package as high up as its importers allow.
    order = sorted(arrows, key=lambda each: (-len(reached[each]), each))
    ids = {each: f"p{number}" for number, each in enumerate(order)}
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'  {ids[each]}["{each}"]' for each in order]
    for each in order:
        implied = {low for high in arrows[each] for low in reached[high]}
        direct = sorted(arrows[each] - implied, key=order.index)
        lines += [f"  {ids[each]} --> {ids[target]}" for target in direct]
    return "\n".join([*lines, "```"]) + "\n"


def updated(page: str) -> str:
    """Return a page with an updated diagram between the markers."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + picture() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
