"""The probe's answer is turned into facts, and whatever a server says instead, into an error."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import MoorageError
from moorage.servers.probe import parse, probe
from moorage.servers.transport import Completed

ANSWER = """\
clock\t1700000100.5
os\tID=debian
os\tVERSION_ID="12"
architecture\tamd64
systemd\tyes
tool\tsystemctl
package\tnginx\t1.22.1-9\tii\x20
package\tpodman\t\tun\x20
package\tcrun\t1.8\thi\x20	Maintainer <m@example.com>
service\tId=nginx.service
service\tActiveState=active
service\tUnitFileState=enabled
service\t
service\tId=moorage-registry@blue.service
service\tActiveState=inactive
service\tUnitFileState=
listener\tLISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=9,fd=5))
listener\tLISTEN 0 128 [::]:22 [::]:*
account\tmoorage\t999\t998
disk\t/dev/vda 1000 400 600 40% 100 10 90 10% /
folder\t750\tmoorage\tmoorage\t/srv/images
run\t20260101T000000000-ab12\tno\t1700000000\tdrain\tdone\t
"""


class Answering:
    """A transport whose server answers the same to everything."""

    server = "liar"

    def __init__(self, answer: bytes, exit_status: int = 0) -> None:
        self.answer = answer
        self.exit_status = exit_status

    def run(self, script: str, *, on_stdout: Callable[[bytes], None], **more: Any) -> Completed:
        """Answer."""
        on_stdout(self.answer)
        return Completed(self.exit_status, b"", b"")


def _tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"etc/moorage/{name}")
            member.size, member.mode, member.uname, member.gname = (
                len(content),
                0o640,
                "root",
                "web",
            )
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_probe_output_becomes_facts() -> None:
    facts = parse("one", ANSWER, _tar(deployed=b"yes"), now=1700000000.0)
    assert facts.clock_skew == 100.5
    assert facts.os == {"ID": "debian", "VERSION_ID": "12"}
    assert facts.packages == {"nginx": "1.22.1-9", "crun": "1.8"}
    assert facts.is_active("nginx")
    assert not facts.is_active("moorage-registry@blue")
    assert [(each.address, each.port, each.program) for each in facts.listeners] == [
        ("0.0.0.0", 80, "nginx"),
        ("::", 22, ""),
    ]
    assert facts.accounts == {"moorage": (999, 998)}
    assert (facts.disks[0].free, facts.disks[0].free_inodes) == (600 * 1024, 90)
    assert facts.folders["/srv/images"].mode == 0o750
    assert facts.runs[0].status == "done"
    file = facts.files["/etc/moorage/deployed"]
    assert (file.content, file.mode, file.owner, file.group) == (b"yes", 0o640, "root", "web")
    assert "yes" not in repr(file)


@given(st.binary(max_size=2000), st.sampled_from([b"", b"clock\tx\n@files\n", ANSWER.encode()]))
def test_any_probe_output_is_facts_or_a_clear_error(noise: bytes, before: bytes) -> None:
    for answer in (noise, before + noise, before + b"@files\n" + noise):
        try:
            probe(Answering(answer), ["/etc/moorage"])  # type: ignore[arg-type]  # what it needs
        except MoorageError as error:
            assert (error.server, error.code) == ("liar", "probe_failed")  # noqa: PT017


def test_endless_probe_output_is_cut_off() -> None:
    with pytest.raises(MoorageError, match="larger than 64 MiB"):
        probe(Answering(b"x" * (65 * 1024**2)), [])  # type: ignore[arg-type]  # what it needs
