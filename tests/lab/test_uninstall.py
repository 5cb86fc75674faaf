"""Uninstalling gives a server back as it was; every remaining difference is explained."""

from __future__ import annotations

import hashlib
import json
from urllib.request import Request, urlopen

import pytest
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN
from server_listing import BY_PACKAGES, BY_SYSTEM, LEFT_BY_DEBIAN, check_same, listing, of_moorage
from traffic import push_blob

from lab import LabServer
from moorage.deploy.record.revisions import operator as operator_name
from moorage.deploy.verify.registry_client import RegistryClient


@pytest.fixture
def cli(call: CommandLine) -> CommandLine:
    """Return the command line with the password of its answers."""
    call.environment["CI_PW"] = PASSWORD
    return call


def test_a_bare_server_is_as_it_was(cli: CommandLine, server: LabServer) -> None:
    before = listing(server)
    cli.add_known_hosts(server)
    cli.write_answers(server)
    assert cli("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to", "pw").code == 0
    registry = cli.operator.client(server, PASSWORD)
    push_blob(registry, "team/app", b"layer" * 1000)
    server.run("systemctl start moorage-activity.service")
    # Others' files are not removed without a copy.
    server.write_file("/etc/nginx/moorage/notes.conf", "# mine\n")
    server.write_file("/usr/local/lib/moorage/mine", "mine\n")
    server.run("mkdir -p /var/lib/moorage/earlier && touch /var/lib/moorage/earlier/images")

    # Without a terminal, it needs --yes.
    assert cli("uninstall", "moorage.yml").code == 2
    done = cli("uninstall", "moorage.yml", "--yes")

    assert done.code == 0, done
    assert "The registry was removed." in done.stdout
    assert "based_on" not in (cli.home / "moorage.yml").read_text()
    [copy] = server.run("find /var/backups/moorage-* -type f").stdout.split()
    folder = copy.removesuffix("/etc/nginx/moorage/notes.conf")
    assert f"/etc/nginx/moorage/notes.conf; a copy is kept in {folder}" in done.stderr + done.stdout
    assert f"copies of modified and foreign files are in {folder}\n" in done.stdout
    assert (copy.rpartition("/")[2], server.read_file(copy)) == ("notes.conf", "# mine\n")
    server.run(
        "rm -r /var/backups/moorage-* /usr/local/lib/moorage/mine /var/lib/moorage/earlier/images"
    )
    server.run("rmdir /usr/local/lib/moorage /var/lib/moorage/earlier")
    after = listing(server)
    # The images stay, and with them the account that owns them.
    ours = [each for each in of_moorage(after) if " /var/lib/moorage/registry" not in each]
    assert [each.split()[:2] for each in ours] == [
        ["account", ours[0].split()[1]],
        ["group", ours[1].split()[1]],
        ["path", "/var/lib/moorage"],
        ["path", "/var/lib/moorage/additions"],
    ]
    check_same(before, after, (*BY_PACKAGES, r".*moorage.*"))
    assert server.run("systemctl is-active nginx docker-registry", check=False).stdout.split() == [
        "inactive", "inactive",
    ]  # fmt: skip
    status = cli("status", "moorage.yml", "--json")
    assert json.loads(status.stdout)["servers"][0]["deployed"] is False

    # A new installation serves the images that stayed.
    assert cli("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to", "pw2").code == 0
    assert b"layer" in _read_layer(registry)
    done = cli("uninstall", "moorage.yml", "--yes", "--images", "--packages", "--json")
    assert done.code == 0, done
    after = listing(server)
    assert of_moorage(after) == []
    check_same(before, after, (*BY_SYSTEM, *LEFT_BY_DEBIAN))
    assert server.run("systemctl is-enabled docker-registry", check=False).stdout != "masked\n"
    assert cli("uninstall", "moorage.yml", "--yes").stdout.startswith("Nothing to remove")


NEIGHBOUR = """
server {
    listen 80;
    server_name www.example.test;
    location / { return 200 "neighbour\\n"; }
}
"""
KILLER = """#!/bin/sh
case "$(tr '\\0' ' ' <"/proc/$PPID/cmdline")" in
*run.sh*) rm -f "$0" && kill -KILL $PPID ;;
esac
PATH=/usr/sbin:/usr/bin exec "${0##*/}" "$@"
"""
"""A program that kills the run which starts it."""


def test_what_stays_can_be_removed_later(cli: CommandLine, server: LabServer) -> None:
    before = listing(server)
    cli.add_known_hosts(server)
    cli.write_answers(server)
    assert cli("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to", "pw").code == 0
    push_blob(cli.operator.client(server, PASSWORD), "team/app", b"layer" * 1000)
    # Moorage is killed, and the run ends by itself; its result is not read.
    process = cli.start("uninstall", "moorage.yml", "--yes", "--json")
    cli.until(process, '"stop-registry"')
    process.kill()
    process.wait()
    server.run(
        "until [ ! -e /etc/moorage ] && "
        "[ -z \"$(systemctl list-units -q --plain 'moorage-run-*')\" ]; do sleep 0.2; done",
        timeout=60,
    )
    assert "tls/key.pem" not in server.run("find / -xdev -path '*moorage*'").stdout

    site = "/etc/nginx/sites-enabled/neighbour"
    server.write_file(site, NEIGHBOUR)
    partly = cli("uninstall", "moorage.yml", "--yes", "--packages", "--json")
    assert partly.code == 0, partly
    [why] = partly.result["servers"][0]["warnings"]
    assert why.startswith("packages that stay, because nginx serves other sites: libnginx-"), why
    server.run(f"rm {site}")
    assert server.run("ls /var/lib/moorage").stdout.split() == ["additions", "registry"]
    done = cli("uninstall", "moorage.yml", "--yes", "--images", "--packages")

    assert done.code == 0, done
    after = listing(server)
    assert of_moorage(after) == []
    check_same(before, after, (*BY_SYSTEM, *LEFT_BY_DEBIAN))


@pytest.mark.deployed
def test_a_full_disk(cli: CommandLine, server: LabServer) -> None:
    """What needs the disk says that it is full; an uninstall works."""
    state = "/var/lib/moorage"
    server.run(
        f"cp -a {state} /root/state && mount -t tmpfs -o size=4m,mode=755 tmpfs {state} && "
        f"cp -a /root/state/. {state} && rm -r /root/state && "
        f"(cat /dev/zero >{state}/registry/full || true)"
    )
    cli.add_known_hosts(server)
    cli.write_answers(server)

    added = cli("users", "add", "moorage.yml", "ana", "--yes", "--json", "--passwords-to", "ana")
    assert f"there is no room for the run: no space left on {state}" in added.stdout
    assert "Its log is" not in added.stdout
    server.write_file("/usr/local/sbin/rmdir", KILLER, mode=0o755)
    killed = cli("uninstall", "moorage.yml", "--yes", "--json")
    assert killed.code == 1, killed
    status = cli("status", "moorage.yml")
    assert "Uninstall again to complete it. (moorage uninstall FILE)" in status.stdout
    history = json.loads(cli("history", "moorage.yml", "--json").stdout)["runs"]
    assert history[0]["kind"] == "uninstall", history
    done = cli("uninstall", "moorage.yml", "--yes")

    assert done.code == 0, done
    assert server.run(f"ls {state}; ls -d /run/moorage*", check=False).stdout.split() == [
        "additions", "registry",
    ]  # fmt: skip


@pytest.mark.ready
def test_an_uninstall_that_is_killed_is_completed_by_the_next(
    cli: CommandLine, server: LabServer
) -> None:
    server.write_file("/etc/nginx/sites-enabled/neighbour", NEIGHBOUR)
    server.run("systemctl enable -q nginx && systemctl reload-or-restart nginx")
    before = listing(server)
    cli.add_known_hosts(server)
    cli.write_answers(server)
    assert cli("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to", "pw").code == 0
    server.run("echo '# by hand' >>/etc/nginx/conf.d/moorage.conf")

    for program in ("nginx", "rmdir", "userdel"):
        server.write_file(f"/usr/local/sbin/{program}", KILLER, mode=0o755)
        killed = cli("uninstall", "moorage.yml", "--yes", "--images", "--json")
        assert killed.code == 1, killed
        [result] = killed.result["servers"]
        assert (result["status"], result["code"]) == ("interrupted", "run_interrupted")
        assert _neighbour(server) == b"neighbour\n"
    status = cli("status", "moorage.yml")
    assert status.code == 1, status
    run, text = result["run"], "was interrupted while restoring services and packages."
    assert f"✗ Uninstall {run} {text}" in status.stdout
    assert "Uninstall again to complete it. (moorage uninstall FILE)" in status.stdout
    assert "missing" not in status.stdout
    assert "apply" not in status.stdout
    history = json.loads(cli("history", "moorage.yml", "--json").stdout)["runs"]
    assert {(each["run"], each["by"], each["what"]) for each in history[:3]} >= {
        (run, operator_name(), "uninstall"),
    }
    done = cli("uninstall", "moorage.yml", "--yes", "--images")

    assert done.code == 0, done
    # What was changed by hand is kept.
    [copy] = server.run("find /var/backups/moorage-* -type f").stdout.split()
    assert server.read_file(copy).endswith("# by hand\n")
    server.run("rm -r /var/backups/moorage-*")
    after = listing(server)
    assert of_moorage(after) == []
    check_same(before, after, BY_SYSTEM)
    assert _neighbour(server) == b"neighbour\n"


def test_beside_apache(cli: CommandLine, server: LabServer) -> None:
    server.run(
        "apt-get -q -y install --no-install-recommends apache2 docker-registry >/dev/null 2>&1",
        timeout=180,
    )
    server.run("until ss -Hltn 'sport = :5000' | grep -q .; do sleep 0.2; done")
    before = listing(server)
    cli.add_known_hosts(server)
    registry = {"domain": DOMAIN, "port": 8443, "redirect_http": False}
    cli.write_answers(server, registry=registry)
    applied = cli("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to", "pw")
    assert applied.code == 0, applied

    done = cli(
        "uninstall", "--server", f"root@{server.address}", "--key", str(server.key),
        "--yes", "--images", "--packages",
    )  # fmt: skip

    assert done.code == 0, done
    after = listing(server)
    assert of_moorage(after) == []
    check_same(before, after, (*BY_SYSTEM, *LEFT_BY_DEBIAN))
    server.run("perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new(\"127.0.0.1:80\")'")


def _neighbour(server: LabServer) -> bytes:
    request = Request(f"http://{server.address}/", headers={"Host": "www.example.test"})
    with urlopen(request, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def _read_layer(registry: RegistryClient) -> bytes:
    digest = hashlib.sha256(b"layer" * 1000).hexdigest()
    return registry.request("GET", f"/v2/team/app/blobs/sha256:{digest}").body
