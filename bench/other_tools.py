"""No-change runs of pyinfra and Ansible with the files that Moorage manages on a server.

Each tool is installed into its own virtual environment in a temporary folder.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import LabServer
from moorage.desired import layout

_PACKAGES = ("nginx", "libnginx-mod-http-js", "docker-registry")
_SERVICES = ("nginx", "moorage-registry@blue")

_PYINFRA = """\
import json
from pathlib import Path
from pyinfra.operations import apt, files, systemd

given = json.loads(Path("given.json").read_text())
apt.packages(packages=given["packages"])
for each in given["files"]:
    files.put(src=each["copy"], dest=each["path"], mode=each["mode"], user=each["user"],
              group=each["group"])
for name in given["services"]:
    systemd.service(service=name, running=True, enabled=True)
"""


@dataclass(frozen=True)
class _File:
    """A file on the server and its local copy."""

    path: str
    copy: str
    mode: str
    user: str
    group: str


class OtherTools:
    """No-change runs of other tools against a server.

    Args:
        server: A server with a deployment.
        folder: A folder for virtual environments, copies of the files and the tools' own files.
    """

    def __init__(self, server: LabServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._files = _copies(server, folder)
        # Ansible's modules need more than python3-minimal.
        server.run("apt-get -qq update && apt-get -qq install -y python3 python3-apt")
        given = {
            "packages": _PACKAGES, "services": _SERVICES,
            "files": [asdict(each) for each in self._files],
        }  # fmt: skip
        (folder / "given.json").write_text(json.dumps(given))
        (folder / "deploy.py").write_text(_PYINFRA)
        self._pyinfra = _installed(folder, "pyinfra") / "pyinfra"
        self._ansible = _installed(folder, "ansible-core") / "ansible-playbook"

    def pyinfra(self, at: tuple[str, int]) -> None:
        """Run pyinfra with nothing to change."""
        data = {
            "ssh_user": "root", "ssh_port": at[1], "ssh_key": str(self._server.key),
            "ssh_known_hosts_file": self._known_hosts(at), "ssh_strict_host_key_checking": "yes",
        }  # fmt: skip
        (self._folder / "inventory.py").write_text(f"servers = [({at[0]!r}, {data!r})]\n")
        self._run([str(self._pyinfra), "-y", "inventory.py", "deploy.py"])

    def ansible(self, at: tuple[str, int]) -> None:
        """Run Ansible with nothing to change."""
        host = {
            "ansible_user": "root", "ansible_host": at[0], "ansible_port": at[1],
            "ansible_ssh_private_key_file": str(self._server.key),
            "ansible_ssh_common_args": f"-oUserKnownHostsFile={self._known_hosts(at)}",
        }  # fmt: skip
        inventory = {"all": {"hosts": {"server": host}}}
        (self._folder / "inventory.json").write_text(json.dumps(inventory))
        (self._folder / "playbook.yml").write_text(json.dumps(self._playbook()))
        # Tasks share a connection, but runs do not.
        environment = {
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_ARGS": "-oControlMaster=auto -oControlPersist=1s",
        }
        self._run([str(self._ansible), "-i", "inventory.json", "playbook.yml"], environment)

    def _playbook(self) -> list[object]:
        tasks: list[object] = [{"apt": {"name": _PACKAGES, "state": "present"}}]
        for each in self._files:
            copy = {"src": each.copy, "dest": each.path, "mode": each.mode,
                    "owner": each.user, "group": each.group}  # fmt: skip
            tasks.append({"copy": copy})
        for name in _SERVICES:
            tasks.append({"systemd": {"name": name, "state": "started", "enabled": True}})
        return [{"hosts": "all", "tasks": tasks}]

    def _known_hosts(self, at: tuple[str, int]) -> str:
        path = self._folder / "known_hosts_of_others"
        path.write_text(self._server.known_hosts_line(*at) + "\n")
        return str(path)

    def _run(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        subprocess.run(
            command, cwd=self._folder, env={**os.environ, **(environment or {})},
            capture_output=True, check=True,
        )  # fmt: skip


def _installed(folder: Path, package: str) -> Path:
    """Install a package into its own virtual environment and return its bin folder."""
    environment = folder / f"{package}-environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    programs = environment / "bin"
    command = [str(programs / "pip"), "install", "--quiet", package]
    subprocess.run(command, check=True, capture_output=True)
    return programs


def _copies(server: LabServer, folder: Path) -> list[_File]:
    """Copy the managed files of a server into a folder."""
    there = " ".join(layout.MANAGED)
    command = f"tar -c $(ls -d {there} 2>/dev/null) 2>/dev/null"
    archive = subprocess.run(server.enter_command(command), capture_output=True, check=True).stdout
    found = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for number, member in enumerate(tar):
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            copy = folder / f"copy-{number}"
            copy.write_bytes(content.read())
            found.append(
                _File(f"/{member.name}", str(copy), f"{member.mode:04o}", member.uname,
                      member.gname)
            )  # fmt: skip
    return found
