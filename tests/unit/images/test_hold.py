"""Writes that nginx asks about wait until the hold ends."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from moorage.images.hold import Hold


def test_a_write_waits_until_the_end_of_the_hold(tmp_path: Path) -> None:
    hold = Hold(tmp_path)
    with socket.socket(socket.AF_UNIX) as nginx:
        with hold:
            assert (tmp_path / "hold").exists()
            # Nobody asks at first.
            time.sleep(0.2)
            nginx.connect(str(tmp_path / "release.sock"))
            nginx.sendall(b"GET / HTTP/1.0\r\n\r\n")
            nginx.settimeout(0.2)
            with pytest.raises(OSError, match="timed out"):
                nginx.recv(64)
        nginx.settimeout(5)
        assert b" 204 " in nginx.recv(64)
    assert hold.held == 1
    assert list(tmp_path.iterdir()) == []
