"""The lab itself: what its servers must be able to do, or tests on top of them mean nothing."""

from __future__ import annotations

import json
import os
import pty
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import Lab, LabError, LabServer, apt
from lab.image import build_small_image
from lab.keys import ADMIN_PASSWORD, KEY_PASSPHRASE
from lab.leaks import LeakWatch
from lab.process import run_program
from lab.services import ObjectStore

if TYPE_CHECKING:
    from boot_servers import BootServers
    from deployments import Deployments

REGISTRY_VERSION = "github.com/docker/distribution 2.8"


def ssh(
    server: LabServer, command: str, *, user: str = "root", at: tuple[str, int] | None = None
) -> subprocess.CompletedProcess[str]:
    return run_program([*server.ssh_command(user, at=at), command], check=False, timeout=30)


@pytest.mark.parametrize("user", ["root", "admin", "deploy"])
def test_the_lab_key_opens_every_account(shared_server: LabServer, user: str) -> None:
    assert ssh(shared_server, "id --user --name", user=user).stdout.strip() == user


def test_an_unknown_key_is_rejected(shared_server: LabServer, tmp_path: Path) -> None:
    run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"])
    command = [*shared_server.ssh_command("root", key=tmp_path / "key"), "true"]
    assert "Permission denied" in run_program(command, check=False).stderr


@pytest.mark.parametrize(
    ("options", "secret"),
    [
        (["-oPubkeyAuthentication=no"], ADMIN_PASSWORD),
        (["-oPasswordAuthentication=no"], KEY_PASSPHRASE),
    ],
    ids=["password", "encrypted key"],
)
def test_admin_logs_in_with_keyboard_interactive(
    shared_server: LabServer, options: list[str], secret: str
) -> None:
    command = shared_server.ssh_command("admin", key=shared_server.encrypted_key)
    output = answer_prompt([*command[:-1], "-oBatchMode=no", *options, command[-1], "id"], secret)
    assert "uid=1000(admin)" in output


def answer_prompt(command: list[str], secret: str) -> str:
    """Run ssh on a terminal and type a secret at its first prompt."""
    command = [word for word in command if word != "-oBatchMode=yes"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.pop("SSH_AUTH_SOCK", None)
        os.execvp(command[0], command)
    output = b""
    try:
        while chunk := os.read(terminal, 1024):
            output += chunk
            if output.rstrip().endswith(b":") and output.count(b":") and secret:
                os.write(terminal, f"{secret}\n".encode())
                secret = ""
    except OSError:
        pass  # The kernel's way to say that ssh has ended.
    os.waitpid(pid, 0)
    return output.decode()


def test_sudo_asks_admin_and_not_deploy(shared_server: LabServer) -> None:
    assert ssh(shared_server, "sudo -n id -u", user="deploy").stdout.strip() == "0"
    assert ssh(shared_server, "sudo -n id -u", user="admin").returncode != 0
    asked = run_program(
        [*shared_server.ssh_command("admin"), "sudo -k -S -p '' id -u"],
        stdin=f"{ADMIN_PASSWORD}\n",
    )
    assert asked.stdout.strip() == "0"


def test_a_server_is_bare_and_resolves_its_own_name(shared_server: LabServer) -> None:
    assert shared_server.run("hostname").stdout.strip() == "shared"
    assert shared_server.run("getent hosts shared").stdout.split()[0] == "127.0.1.1"
    assert shared_server.run("systemctl is-system-running").stdout.strip() == "running"
    assert shared_server.run("command -v nginx docker curl", check=False).stdout == ""
    assert abs(float(shared_server.run("date +%s").stdout) - time.time()) < 5


def test_files_can_be_written_and_read(shared_server: LabServer) -> None:
    shared_server.write_file("/srv/some dir/a'b", "héllo\n", mode=0o600)
    assert shared_server.read_file("/srv/some dir/a'b") == "héllo\n"
    assert (shared_server.root / "srv/some dir/a'b").stat().st_mode & 0o777 == 0o600


def test_the_fingerprint_is_the_one_that_sshd_shows(shared_server: LabServer) -> None:
    scanned = run_program(["ssh-keyscan", "-t", "ed25519", shared_server.address]).stdout
    shown = run_program(["ssh-keygen", "-l", "-f", "-"], stdin=scanned).stdout.split()[1]
    assert shared_server.host_key_fingerprint() == shown
    assert scanned.strip() in shared_server.known_hosts_line()


def test_copies_of_a_snapshot_are_servers_of_their_own(
    lab: Lab, servers: BootServers, deployments: Deployments
) -> None:
    original = lab.boot("original")
    longer = f"{original.address}0"
    original.write_file("/srv/about", f"I am {original.address}, not {longer}.\n", mode=0o640)
    original.run("touch -d '2020-01-01 UTC' /srv/about; chown admin /srv/about; rm /etc/issue")
    machine_id = original.read_file("/etc/machine-id")
    snapshot = original.take_snapshot(deployments.folder / "original")
    lab.destroy(original)

    copies = servers(names=["one", "two"], snapshot=snapshot)
    one, two = copies
    for copy in copies:
        assert ssh(copy, "hostname").stdout.strip() == copy.hostname
        assert copy.read_file("/srv/about") == f"I am {copy.address}, not {longer}.\n"
        assert copy.run("stat -c '%a %U %Y' /srv/about").stdout == "640 admin 1577836800\n"
        assert copy.run("ls /etc/issue", check=False).stdout == ""
        assert copy.run("systemctl is-system-running").stdout.strip() == "running"
        assert copy.record.suite == "bookworm"
    assert len({machine_id, *(copy.read_file("/etc/machine-id") for copy in copies)}) == 3
    assert one.host_key_fingerprint() != two.host_key_fingerprint()
    one.run("echo changed >/srv/about")
    assert two.read_file("/srv/about") != "changed\n"
    shutil.rmtree(snapshot.folder)


def test_packages_are_downloaded_once(servers: BootServers) -> None:
    first, second = servers(2)
    install = "apt-get install --yes --no-install-recommends tree"
    first.run(f"apt-get update && {install}")
    first.destroy()
    second.reset()
    assert "Need to get 0 B" in second.run(install).stdout
    second.run("tree --version")


def test_debian_13_boots_and_installs(servers: BootServers) -> None:
    (server,) = servers(suite="trixie")
    assert 'VERSION_ID="13"' in server.read_file("/etc/os-release")
    assert ssh(server, "sudo -n id -u", user="deploy").stdout.strip() == "0"
    server.run("apt-get update && apt-get install --yes --no-install-recommends nginx-light")
    assert server.run("systemctl is-active nginx").stdout.strip() == "active"


def test_servers_reach_each_other(servers: BootServers) -> None:
    first, second = servers(2)
    assert first.address != second.address
    banner = f"exec 3<>/dev/tcp/{second.address}/22; head -c 4 <&3"
    assert first.run(["bash", "-c", banner]).stdout == "SSH-"


def test_connections_hang_while_the_cable_is_cut(server: LabServer) -> None:
    server.cut()
    soon = [*server.ssh_command()[:1], "-oConnectTimeout=2", *server.ssh_command()[1:]]
    assert "timed out" in run_program([*soon, "true"], check=False).stderr
    assert server.run("echo inside").stdout == "inside\n"
    server.reconnect()
    assert ssh(server, "echo back").stdout == "back\n"


def test_a_crash_keeps_the_disk_but_not_the_memory(server: LabServer) -> None:
    server.run("echo kept > /var/kept; echo lost > /run/lost; sleep 1000 >/dev/null 2>&1 &")
    fingerprint, address = server.host_key_fingerprint(), server.address
    server.crash()
    assert not server.is_on()
    with pytest.raises(LabError, match="is off"):
        server.run("true")
    server.start()
    assert server.run("cat /var/kept; cat /run/lost", check=False).stdout == "kept\n"
    assert server.run("pgrep sleep", check=False).returncode == 1
    assert (server.host_key_fingerprint(), server.address) == (fingerprint, address)
    assert ssh(server, "echo again").stdout == "again\n"


def test_a_reboot_comes_back_by_itself(server: LabServer) -> None:
    server.run("touch /run/before; systemctl reboot", check=False)
    end = time.monotonic() + 20
    while time.monotonic() < end and ssh(server, "test ! -e /run/before").returncode != 0:
        time.sleep(0.2)
    server.wait_until_up()
    assert ssh(server, "echo up").stdout == "up\n"


def test_a_distant_server_answers_late(server: LabServer) -> None:
    near = shortest_time(server, None)
    far = server.start_proxy(100)
    assert shortest_time(server, far) > near + 0.4
    copied = subprocess.run(
        [*server.ssh_command(at=far), "cat"],
        input=b"x" * 5_000_000,
        capture_output=True,
        check=True,
    )
    assert len(copied.stdout) == 5_000_000
    server.stop_proxies()
    assert ssh(server, "true", at=far).returncode == 255


def shortest_time(server: LabServer, at: tuple[str, int] | None) -> float:
    times = []
    for _ in range(2):
        start = time.monotonic()
        assert ssh(server, "true", at=at).returncode == 0
        times.append(time.monotonic() - start)
    return min(times)


def test_reset_goes_back_to_the_bare_image(server: LabServer) -> None:
    server.write_file("/etc/moved-in", "")
    server.write_file("/var/lib/docker/something", "")
    address, fingerprint = server.address, server.host_key_fingerprint()
    server.reset()
    assert server.run("ls /etc/moved-in /var/lib/docker/*", check=False).stdout == ""
    assert (server.address, server.host_key_fingerprint()) == (address, fingerprint)
    assert ssh(server, "echo ready").stdout == "ready\n"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_docker_and_podman_run_the_registry_image(
    servers: BootServers, registry_image: Path, suite: str
) -> None:
    (server,) = servers(suite=suite, variant="client")
    assert server.run("docker info --format '{{.Driver}}'").stdout.strip() in OVERLAY_DRIVERS
    (server.root / "srv/registry.tar").write_bytes(registry_image.read_bytes())
    for engine, port in (("docker", 5001), ("podman", 5002)):
        server.run(f"{engine} load --input /srv/registry.tar")
        server.run(
            f"{engine} run --detach --network host --read-only --user 65534 --cap-drop ALL"
            f" --security-opt no-new-privileges --env REGISTRY_HTTP_ADDR=127.0.0.1:{port}"
            " docker.io/library/registry:2.8"
        )
        asked = f"curl --silent --fail --retry 20 --retry-connrefused http://127.0.0.1:{port}/v2/"
        assert server.run(asked).stdout.strip() == "{}"
        version = server.run(f"{engine} run --rm docker.io/library/registry:2.8 --version").stdout
        assert REGISTRY_VERSION in version


OVERLAY_DRIVERS = ("overlay2", "overlayfs")


def test_a_small_image_can_be_pushed(
    client: LabServer, registry_image: Path, tmp_path: Path
) -> None:
    (client.root / "srv/registry.tar").write_bytes(registry_image.read_bytes())
    small = build_small_image(tmp_path / "small.tar", "localhost:5000/small:1", size=100_000)
    (client.root / "srv/small.tar").write_bytes(small.read_bytes())
    client.run("docker load -i /srv/registry.tar && docker load -i /srv/small.tar")
    client.run("docker run -d --name registry --network host docker.io/library/registry:2.8")
    try:
        client.run("curl -sf --retry 20 --retry-connrefused http://localhost:5000/v2/")
        client.run("docker push localhost:5000/small:1 && docker image rm localhost:5000/small:1")
        assert "sha256:" in client.run("docker pull localhost:5000/small:1").stdout
    finally:
        client.run("docker rm --force registry")


def test_servers_reach_the_s3_server(s3: ObjectStore, client: LabServer) -> None:
    url = f"{s3.endpoint}/{s3.bucket}/greeting"
    curl = ["curl", "-sf", "--aws-sigv4", f"aws:amz:{s3.region}:s3", "--config", "-", url]
    login = f'user = "{s3.access_key}:{s3.secret_key}"'
    text = ["-H", "Content-Type: text/plain"]
    client.run([*curl, "-X", "PUT", *text, "--data", "hello"], stdin=login)
    assert client.run(curl, stdin=login).stdout == "hello"


SECRET = secrets.token_hex(10)
"""Of this process alone: a test puts it in argument lists, where every watch would find it."""


def test_leaks_are_found_in_every_location(server: LabServer, tmp_path: Path) -> None:
    watch = LeakWatch(lambda: [server])
    watch.add(SECRET, label="the password", allowed=["/etc/allowed/*"])
    watch.watch_path(tmp_path)
    watch.watch_output("the output", f"it is {SECRET}")
    (tmp_path / "answers.yml").write_text(SECRET)
    server.write_file("/etc/allowed/env", SECRET)
    server.write_file("/etc/leaked", f"password={SECRET}")
    server.write_file("/run/leaked", SECRET)
    server.write_file("/var/lib/docker/leaked", SECRET)
    server.run(["systemd-cat", "sh"], stdin="tr a-m a-m <<X\n" + SECRET + "\nX\n")
    server.run(["sh", "-c", "sleep 0.7", SECRET])
    in_login = f"runuser -u admin -- env P='{SECRET}' sleep 1"
    server.run(["sh"], stdin=f"{in_login}\n")
    found = watch.findings()
    assert not [line for line in found if SECRET in line or "allowed" in line]
    for place in (
        f"the password in {tmp_path}/answers.yml (here)",
        "the password in the output",
        f"the password in /etc/leaked ({server.name})",
        f"the password in /run/leaked ({server.name})",
        f"the password in /var/lib/docker/leaked ({server.name})",
        f"the password in the journal on {server.name}",
        "the password in the arguments of sh",
        f"the password in the environment of sleep on {server.name}",
    ):
        assert place in found


def test_nothing_is_reported_without_a_leak(server: LabServer, leak_check: LeakWatch) -> None:
    # Another than above, which may be looked for in other processes at the same time.
    leak_check.add(f"another {SECRET}", allowed=["/root/secret"])
    server.write_file("/root/secret", f"another {SECRET}")


def test_leftovers_of_a_killed_process_are_removed(lab: Lab) -> None:
    script = "import time; from lab import Lab; s = Lab().boot('orphan'); s.start_proxy(10);\n"
    script += "print(s.name, flush=True); time.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        name = process.stdout.readline().decode().strip()
        server = lab.find(name)
        proxy = server.record.proxies[0]
        group = server.control_group
        process.send_signal(signal.SIGKILL)
    with Lab():
        pass
    assert name not in [left.name for left in lab.all_servers()]
    assert not server.folder.exists()
    assert not group.exists()
    assert (
        not Path(f"/proc/{proxy.pid}").exists()
        or "Z" in Path(f"/proc/{proxy.pid}/stat").read_text()
    )
    links = json.loads(run_program(["ip", "-json", "link", "show", "type", "veth"]).stdout)
    assert len(links) >= len(lab.servers)


def test_two_processes_can_boot_at_once(lab: Lab) -> None:
    script = "from lab import Lab\nwith Lab() as lab: print(lab.boot('twin').address)"
    twins = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(3)
    ]
    addresses = [twin.communicate(timeout=60)[0] for twin in twins]
    assert len({address for address in addresses if address}) == 3
    assert lab.network.bridge


def test_apt_sources_of_both_formats_are_carried_over(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian/ bookworm main contrib\n"
        "deb-src http://one.example/debian bookworm main\n"
    )
    (tmp_path / "sources.list.d/debian.sources").write_text(
        "# a comment\nTypes: deb deb-src\nURIs: http://two.example/security\n"
        "Suites: bookworm-security\nComponents: main\nSigned-By: /k.gpg\n\n"
        "Types: deb\nEnabled: no\nURIs: http://off.example/\nSuites: bookworm\n"
    )
    (tmp_path / "sources.list.d/other.list").write_text("deb http://third.example/ stable main\n")
    assert [
        source.for_suite("bookworm", "trixie").as_deb822()
        for source in apt.read_sources(tmp_path, "bookworm")
    ] == [
        "Types: deb\nURIs: http://one.example/debian\nSuites: trixie\n"
        "Components: main contrib\nSigned-By: /k.gpg\n",
        "Types: deb\nURIs: http://two.example/security\nSuites: trixie-security\n"
        "Components: main\nSigned-By: /k.gpg\n",
    ]


def test_a_killed_image_build_is_restarted(lab: Lab) -> None:
    for image in lab.folder.images.glob("[!.]*"):
        if '["tree"]' in (image / "image.json").read_text():
            shutil.rmtree(image)
    script = "from lab import Lab\nwith Lab() as lab: print(lab.boot(extra=['tree']).name)"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        draft = f"bookworm-bare-*.{process.pid}"
        while not list(lab.folder.images.glob(f".{draft}/root/usr/sbin/policy-rc.d")):
            assert process.poll() is None, "the build ended before it could be killed"
            time.sleep(0.01)
        process.kill()
    assert run_program(command).stdout.startswith("server-")
    assert not list(lab.folder.images.glob(f".{draft}"))
    assert f".{process.pid}/root" not in Path("/proc/mounts").read_text()
