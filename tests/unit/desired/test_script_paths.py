"""The scripts that run on servers use the paths of :mod:`moorage.desired.layout`."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from moorage.desired import layout

TEMPLATES = Path("templates")
SCRIPTS = sorted(
    path
    for path in (TEMPLATES / "shell").rglob("*.sh")
    # The failover service runs elsewhere and has paths of its own.
    if path.name != "failover.sh"
)
PATH = re.compile(r"(?<![\w$}*./-])/(?:etc|run|var/lib)/[\w./@-]*\w")


def _paths(text: str) -> set[str]:
    """Return the absolute paths in a text that belong to Moorage."""
    code = re.sub(r"^ *#.*", "", text, flags=re.MULTILINE)
    return {path for path in PATH.findall(code) if "moorage" in path}


def _known() -> set[str]:
    """Return the paths in the layout and in nginx's files, with the folders they are in."""
    paths = {text for text in vars(layout).values() if isinstance(text, str) and text[:1] == "/"}
    paths |= {path for each in map(layout.slot_files, layout.OLD_PORTS) for path in each}
    paths |= {f"/etc/letsencrypt/{folder}/{layout.LINEAGE}" for folder in ("live", "archive")}
    unit = layout.unit_name("blue").partition("@")[0]
    paths.add(f"/etc/systemd/system/multi-user.target.wants/{unit}")
    for template in (TEMPLATES / "nginx").glob("*.j2"):
        paths |= _paths(template.read_text(encoding="utf-8"))
    return paths | {str(folder) for path in paths for folder in PurePosixPath(path).parents}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_use_the_paths_of_the_layout(script: Path) -> None:
    assert _paths(script.read_text(encoding="utf-8")) <= _known()


def test_a_path_that_is_not_in_the_layout_is_found() -> None:
    found = _paths("state=/var/lib/moorage\ncat </run/moorage-registri/blue '/etc/moorage/x*'")
    assert found - _known() == {"/run/moorage-registri/blue", "/etc/moorage/x"}
