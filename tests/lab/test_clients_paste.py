"""The lines of ``moorage clients``, pasted into a terminal on a real client."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from boot_servers import BootServers
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN, push
from tmux import Terminal

from lab import LabServer
from lab.keys import ADMIN_PASSWORD

pytestmark = pytest.mark.deployed(by_command=True)

IMAGE = f"{DOMAIN}/team/app:1"
KUBECTL = """\
#!/bin/sh
# The real kubectl, without a cluster.
case $1 in
  create) kubectl.real "$@" --dry-run=client -o json > /tmp/secret.json && echo secret created ;;
esac
"""


@pytest.fixture
def machine(servers: BootServers) -> LabServer:
    """A client that has never heard of the registry."""
    machine = servers(names=["newcomer"], variant="client")[0]
    # Docker asks for no password of the machine's, sudo does.
    machine.run("usermod -aG docker admin")
    return machine


class Shell:
    """A shell on a client, in a terminal, over ssh."""

    def __init__(self, machine: LabServer, user: str, folder: Path, *shell: str) -> None:
        command = machine.ssh_command(user)
        self.terminal = Terminal([command[0], "-tt", *command[1:], *shell], {}, folder)
        self.terminal.see("$", "#")

    def paste(self, text: str) -> None:
        """Paste lines and press Enter."""
        self.terminal.paste(text)
        self.terminal.press("Enter")

    def answer(self, prompt: str, secret: str, then: str) -> None:
        """Wait for a prompt, type a secret, and wait for what follows."""
        self.terminal.see(prompt)
        self.terminal.type(secret)
        self.terminal.press("Enter")
        self.terminal.see(then)

    def close(self) -> None:
        """Hang up."""
        self.terminal.close()


@pytest.fixture
def texts(call: CommandLine, server: LabServer) -> dict[str, str]:
    """What `moorage clients` prints, by client."""
    found = call("clients", "moorage.yml", "--json")
    assert found.code == 0, found.stderr
    return {each["client"]: each["text"] for each in found.json["clients"]}


def test_one_paste_sets_a_client_up(
    call: CommandLine,
    texts: dict[str, str],
    machine: LabServer,
    registry_image: Path,
    tmp_path: Path,
) -> None:
    docker = call("clients", "moorage.yml", "docker")
    assert docker.stdout == texts["docker"] + "\n"

    # bash, as a user whose sudo asks for a password.
    with closing(Shell(machine, "admin", tmp_path)) as shell:
        shell.paste(texts["docker"])
        shell.answer("[sudo] password for admin:", ADMIN_PASSWORD, "Password:")
        shell.answer("Password:", PASSWORD, "Login Succeeded")
    machine.run("cp -r ~admin/.docker ~root/.docker")
    digest = push(machine, registry_image, "team/app:1")

    # dash, which knows no bracketed paste: sudo and the login must not read the pasted lines.
    with closing(Shell(machine, "admin", tmp_path, "sh")) as shell:
        shell.paste(f"docker logout {DOMAIN}; docker image rm {IMAGE}; clear")
        shell.paste(texts["docker"])
        shell.answer("[sudo] password for admin:", ADMIN_PASSWORD, "Password:")
        shell.answer("Password:", PASSWORD, "Login Succeeded")
        shell.paste(f"clear; docker pull {IMAGE}")
        shell.terminal.see(digest)
    assert machine.read_file("/etc/hosts").count(DOMAIN) == 1

    with closing(Shell(machine, "root", tmp_path, "sh")) as shell:
        shell.paste(texts["podman"])
        shell.answer("Password:", PASSWORD, "Login Succeeded!")
        shell.paste(
            f"podman pull {IMAGE} && podman push {IMAGE} {DOMAIN}/team/again:1 && echo d''one"
        )
        shell.terminal.see("done")

        shell.paste(texts["containerd"])
        shell.terminal.see("To pull: ctr images pull")
        said = " ".join(shell.terminal.screen.split())
        pull = said.rpartition("To pull: ")[2].partition("/IMAGE")[0]
        assert pull.endswith(DOMAIN)
        shell.paste(f"clear; {pull}/team/again:1 && echo d''one")
        shell.answer("Password:", PASSWORD, "done")

        shell.paste(texts["system"])
        shell.terminal.see("1 added")
        shell.paste(f"clear; curl -s -o /dev/null -w '%{{http_code}}\\n' https://{DOMAIN}/v2/")
        shell.terminal.see("401")


def test_the_steps_for_github_actions_run(
    call: CommandLine, texts: dict[str, str], machine: LabServer
) -> None:
    # Another machine, which does not have the private CA, reads it from the server.
    (call.home / "state" / "ca").rename(call.home / "ca-elsewhere")
    again = call("clients", "moorage.yml", "actions")
    assert again.stdout == texts["actions"] + "\n"
    trust, login = yaml.safe_load(again.stdout)
    machine.run(["bash", "-e", "-c", trust["run"]])
    words = login["with"]
    machine.run(
        ["docker", "login", words["registry"], "-u", words["username"], "--password-stdin"],
        stdin=PASSWORD,
    )


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_pull_secret_for_kubernetes_logs_in(
    texts: dict[str, str], machine: LabServer, tmp_path: Path
) -> None:
    kubectl = shutil.which("kubectl")
    assert kubectl is not None
    machine.inside("/usr/local/bin/kubectl.real").write_bytes(Path(kubectl).read_bytes())
    machine.run("chmod +x /usr/local/bin/kubectl.real")
    machine.write_file("/usr/local/bin/kubectl", KUBECTL, mode=0o755)
    with closing(Shell(machine, "root", tmp_path, "sh")) as shell:
        shell.paste(texts["podman"])
        shell.answer("Password:", PASSWORD, "Login Succeeded!")
        shell.paste("clear")
        shell.paste(texts["kubernetes"])
        shell.answer("Password of ci:", PASSWORD, "secret created")
    secret = json.loads(machine.read_file("/tmp/secret.json"))
    assert (secret["metadata"]["name"], secret["type"]) == (
        "registry", "kubernetes.io/dockerconfigjson",
    )  # fmt: skip
    machine.run("base64 -d > /root/pull.json", stdin=secret["data"][".dockerconfigjson"])
    listed = machine.run(
        [
            "skopeo",
            "list-tags",
            "--authfile",
            "/root/pull.json",
            f"docker://{DOMAIN}/moorage-verify",
        ],
        check=False,
    )
    assert "unauthorized" not in listed.stderr
    assert "authentication required" not in listed.stderr
