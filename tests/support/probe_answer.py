"""The probe's output on a fake server: a fresh Debian with given files."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Collection, Mapping, Sequence

from moorage.desired import layout

_FACTS = """\
clock\t{clock}
os\tID=debian
os\tVERSION_ID="12"
os\tPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
architecture\tamd64
hostname\tserver
systemd\tyes
tool\tapt-get
tool\tdpkg-query
tool\tsystemctl
tool\tsystemd-run
tool\tflock
tool\tss
tool\tnginx
disk\t/dev/sda1 80000000 1000000 79000000 2% 5000000 100000 4900000 2% /
"""
_MODES = {layout.HTPASSWD: 0o640, layout.HTPASSWD_DISABLED: 0o600, layout.ACCESS_MAP: 0o600}


def probe_answer(
    extra_facts: str = "",
    files: Mapping[str, bytes] | None = None,
    paths: Sequence[str] | None = None,
    lacks: Collection[str] = (),
) -> bytes:
    """Return the probe's output.

    Args:
        extra_facts: Additional lines of facts.
        files: The content of existing files, by path.
        paths: The requested files and folders; all files when None.
        lacks: Lines of facts that the server does not have, such as that of a tool.
    """
    found = {
        path: content
        for path, content in sorted((files or {}).items())
        if paths is None or any(path == each or path.startswith(f"{each}/") for each in paths)
    }
    facts = "".join(line for line in _FACTS.splitlines(True) if line.rstrip("\n") not in lacks)
    return f"{facts.format(clock=time.time())}{extra_facts}\n@files\n".encode() + _archive(found)


def _archive(files: Mapping[str, bytes]) -> bytes:
    if not files:
        return b""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(content), _MODES.get(path, 0o644)
            member.uname = "root"
            member.gname = layout.WEB_GROUP if member.mode == 0o640 else "root"
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
