"""The command line against real servers, as people and CI jobs call it."""

from __future__ import annotations

import signal

import pytest
from command_line import PASSWORD, CommandLine
from operator_at_work import DOMAIN

from lab import LabServer

pytestmark = pytest.mark.ready

IN_PROGRESS = '"step": "nginx-files"'


def hold_next_run(server: LabServer) -> None:
    """Let the next run wait at its nginx files until there is a file /root/go."""
    is_first = "grep -q moorage-run- /proc/self/cgroup && mkdir /root/held 2>/dev/null"
    hold = f"if {is_first}; then while [ ! -e /root/go ]; do sleep 0.2; done; fi"
    server.run("rm -rf /root/held /root/go")
    text = f'#!/bin/sh\n{hold}\nexec /usr/sbin/nginx "$@"\n'
    server.write_file("/usr/local/sbin/nginx", text, mode=0o755)


def test_from_the_answers_to_a_registry_and_again(call: CommandLine, server: LabServer) -> None:
    call.write_answers(server)
    call.add_known_hosts(server)

    assert call("validate", "moorage.yml", "--headless").code == 0

    planned = call("plan", "moorage.yml", "--diff", "--detailed-exitcode")
    assert planned.code == 3, planned.stderr
    assert "+++ b/etc/nginx/conf.d/moorage.conf" in planned.stdout
    assert server.run("ls /etc/moorage", check=False).returncode != 0

    unseen = call("apply", "moorage.yml", "--yes")
    assert unseen.code == 2
    assert server.run("ls /var/lib/moorage", check=False).returncode != 0

    applied = call("apply", "moorage.yml", "--yes", "--passwords-to", "passwords")
    assert applied.code == 0, applied.stdout + applied.stderr
    assert f"docker login {DOMAIN} -u ci" in applied.stdout
    assert "moorage clients moorage.yml docker" in applied.stdout
    assert f"{DOMAIN} 300 A {server.address}" in applied.stdout
    assert "upload of over 100 MB" in applied.stdout
    user, _, password = (call.home / "passwords").read_text().strip().partition(":")
    assert user == "bot"
    assert call.operator.status(server, user=user, password=password) == 200
    assert call.operator.status(server, user="ci", password=PASSWORD) == 200

    status = call("status", "moorage.yml", "--json")
    assert status.code == 0, status.stdout
    assert status.json["has_changes"] is False
    described = status.json["servers"][0]
    assert described["registry_running"] is described["nginx_running"] is True
    assert described["drifted"] == []
    assert described["certificate"]["names"] == [DOMAIN]
    assert described["run"]["status"] == "done"

    verified = call("verify", "moorage.yml", "--json", "--skip-large-upload")
    assert verified.code == 0, verified.stdout
    assert {check["status"] for check in verified.json["checks"]} == {"good"}
    # However often it is verified, only one name is left in the catalog.
    repositories = server.run("ls /var/lib/moorage/registry/docker/registry/v2/repositories")
    assert repositories.stdout.split() == ["moorage-verify"]

    again = call("apply", "moorage.yml", "--yes", "--json", "--no-verify")
    assert again.code == 0
    assert again.result["summary"] == "1 server: nothing to change"
    assert again.result["servers"][0]["status"] == "unchanged"
    assert call("plan", "moorage.yml", "--detailed-exitcode").code == 0

    # Another machine, which does not keep the private CA, gets it from the server.
    (call.home / "state" / "ca").rename(call.home / "ca-elsewhere")
    assert call("verify", "moorage.yml", "--skip-large-upload").code == 0

    server.run("echo '# by hand' >> /etc/nginx/conf.d/moorage.conf")
    drifted = call("status", "--server", f"root@{server.address}", "--key", str(server.key))
    assert drifted.code == 1
    assert "/etc/nginx/conf.d/moorage.conf was modified since Moorage wrote it." in drifted.stdout
    replanned = call("plan", "moorage.yml", "--diff")
    assert "(drift: modified since Moorage last wrote it)" in replanned.stdout
    assert "\n-# by hand\n" in replanned.stdout
    assert call("apply", "moorage.yml", "--yes", "--no-verify").code == 0
    assert call("status", "moorage.yml").code == 0

    # Answers with another name, for the same server.
    text = (call.home / "moorage.yml").read_text()
    (call.home / "other.yml").write_text(text.replace(DOMAIN, "other.example.test"))
    taken = call("plan", "other.yml")
    assert f"{DOMAIN} will no longer be served" in taken.stdout
    misled = call("users", "list", "other.yml")
    assert f"it serves {DOMAIN}, but these answers are for other.example.test" in misled.stderr
    for command in ("uninstall", "rollback", "upgrade"):
        refused = call(command, "other.yml", "--yes", "--json")
        assert refused.code == 1, refused
        assert refused.result["error"]["code"] == "other_registry", refused
    assert call("status", "moorage.yml").code == 0
    assert call("apply", "other.yml", "--yes", "--no-verify").code == 0
    assert call("status", "other.yml").code == 0
    lost = call("status", "moorage.yml")
    assert lost.code == 1
    assert f"It serves other.example.test now, not {DOMAIN}." in lost.stdout


def test_an_unknown_server_needs_its_fingerprint_confirmed(
    call: CommandLine, server: LabServer
) -> None:
    call.write_answers(server)

    refused = call("plan", "moorage.yml")
    assert refused.code == 4
    assert "SHA256:" in refused.stderr
    wrong = call("plan", "moorage.yml", "--accept-host-key", "SHA256:" + "A" * 43)
    assert wrong.code == 4

    right = call("plan", "moorage.yml", "--accept-host-key", server.host_key_fingerprint())
    assert right.code == 0, right.stderr
    assert call("plan", "moorage.yml").code == 0

    server.crash()
    for command in ("plan", "status"):
        outcome = call(command, "moorage.yml")
        assert outcome.code == 4
        assert server.address in outcome.stdout + outcome.stderr


def test_ctrl_c_and_sigterm_leave_the_server_as_it_was(
    call: CommandLine, server: LabServer
) -> None:
    call.write_answers(server)
    call.add_known_hosts(server)
    apply = ("apply", "moorage.yml", "--yes", "--json", "--passwords-to", "passwords")
    for number in (signal.SIGINT, signal.SIGTERM):
        hold_next_run(server)
        process = call.start(*apply)
        read = call.until(process, IN_PROGRESS)

        process.send_signal(number)
        outcome = call.finish(process, read)

        assert outcome.code == 130
        assert "Cancelling: " in outcome.stderr
        assert outcome.result["exit_code"] == 130
        assert outcome.result["servers"][0]["status"] == "cancelled"
        assert not (call.home / "passwords").exists()
        for path in ("/etc/moorage/deployment.json", "/etc/nginx/conf.d/moorage.conf"):
            assert server.run(["test", "-e", path], check=False).returncode != 0
    status = call("status", "moorage.yml", "--json")
    assert status.code == 1
    assert status.json["servers"][0]["run"]["status"] == "cancelled"


def test_a_run_outlives_moorage_and_is_found_again(call: CommandLine, server: LabServer) -> None:
    hold_next_run(server)
    call.write_answers(server)
    call.add_known_hosts(server)
    process = call.start("apply", "moorage.yml", "--yes", "--json", "--passwords-to", "passwords")
    call.until(process, IN_PROGRESS)
    process.kill()
    process.communicate()

    meanwhile = call("apply", "moorage.yml", "--yes", "--passwords-to", "more-passwords")
    following = call.start("status", "moorage.yml", "--follow")
    assert following.stderr is not None
    assert any("Writing and testing nginx's files" in line for line in following.stderr)
    server.write_file("/root/go", "")
    followed = call.finish(following)

    assert meanwhile.code == 1
    assert "is in progress" in meanwhile.stderr
    assert followed.code == 0, followed.stdout + followed.stderr
    assert "Recording the deployment" in followed.stderr
    # The password that was made reached the file before the run began.
    user, _, password = (call.home / "passwords").read_text().strip().partition(":")
    assert call.operator.status(server, user=user, password=password) == 200
