"""Asking a server for new versions leaves nothing behind when the connection is lost."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from templates.load import shell_script


def test_no_files_stay_when_nobody_reads_the_answer(tmp_path: Path) -> None:
    script = shell_script("run/causes.sh") + shell_script("newest.sh")
    reads, writes = os.pipe()
    os.close(reads)
    try:
        asked = subprocess.run(
            ["sh", "-c", script], input=b"true\nregistry:2.8\n-\n-\n", stdout=writes,
            env={"TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    finally:
        os.close(writes)
    assert asked.returncode != 0
    assert list(tmp_path.iterdir()) == []
