"""Interrupted at any step, an uninstall or an installation is removed by the next uninstall."""

from __future__ import annotations

import pytest
from command_line import PASSWORD, CommandLine
from server_listing import BY_SYSTEM, LEFT_BY_DEBIAN, check_same, listing, of_moorage
from thorough import THOROUGH
from waiting import wait_until

from lab import LabServer

UNINSTALL_STEPS = (
    "stop", "leave-nginx", "stop-registry", "delete-images", "remove-files", "give-back",
)  # fmt: skip
INSTALL_STEPS = ("account", "version", "registry", "nginx-files", "switch", "check", "record")
PROGRAMS = (
    "chown", "cp", "dpkg-query", "install", "ls", "mkdir", "mv", "nginx", "rm", "rmdir", "sed",
    "sync", "systemctl", "userdel", "useradd",
)  # fmt: skip
"""Programs that runs call; each step calls one of them."""
STOPPER = """#!/bin/sh
# Interrupts a run in the step that /run/interrupt names.
if grep -q moorage-run- /proc/self/cgroup && [ -e step ] && read -r how at </run/interrupt &&
    [ "$(/usr/bin/tail -n 1 step)" = "$at" ]; then
    /usr/bin/rm /run/interrupt
    case "$how" in
    kill) /usr/bin/systemctl kill -s KILL 'moorage-run-*' ;;
    crash) true >/run/reached && exec sleep infinity ;;
    esac
fi 2>/dev/null
PATH=/usr/sbin:/usr/bin exec "${0##*/}" "$@"
"""


@THOROUGH
@pytest.mark.ready
@pytest.mark.parametrize("how", ["kill", "crash"])
def test_every_step_can_be_interrupted(how: str, call: CommandLine, server: LabServer) -> None:
    call.environment["CI_PW"] = PASSWORD
    call.add_known_hosts(server)
    call.write_answers(server)
    for program in PROGRAMS:
        server.write_file(f"/usr/local/sbin/{program}", STOPPER, mode=0o755)
    before = listing(server)
    apply = ("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to")
    uninstall = ("uninstall", "moorage.yml", "--yes", "--images")
    number = 0
    for words, steps in ((apply, INSTALL_STEPS), (uninstall, UNINSTALL_STEPS)):
        for step in steps:
            number += 1
            if words is uninstall:
                assert call(*apply, f"pw{number}").code == 0
            target = (f"pw-{number}",) if words is apply else ()
            _interrupt(call, server, how, step, *words, *target)

            done = call(*uninstall)

            assert done.code == 0, (step, done)
            after = listing(server)
            assert of_moorage(after) == [], step
            check_same(before, after, BY_SYSTEM)


CUT_OFF = """#!/bin/sh
# Interrupts the run that installs packages, when dpkg has unpacked them.
if [ "$DPKG_HOOK_ACTION" = configure ] && rm /run/interrupt; then
    systemctl kill -s KILL 'moorage-run-*' && sleep 60
fi 2>/dev/null
exit 0
"""
HOLD_LOCK = """
import fcntl, time
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


@THOROUGH
def test_packages_of_an_install_that_was_cut_off(call: CommandLine, server: LabServer) -> None:
    """They go, once the apt that is running has ended and dpkg's own work is finished."""
    call.environment["CI_PW"] = PASSWORD
    call.add_known_hosts(server)
    call.write_answers(server)
    before = listing(server)
    server.write_file("/root/cut-off", CUT_OFF, mode=0o755)
    server.write_file("/etc/dpkg/dpkg.cfg.d/cut-off", "pre-invoke=/root/cut-off\n")
    server.write_file("/run/interrupt", "")
    cut_off = call("apply", "moorage.yml", "--yes", "--no-verify", "--passwords-to=pw", "--json")
    assert cut_off.result["servers"][0]["code"] == "run_interrupted", cut_off
    server.run("rm /etc/dpkg/dpkg.cfg.d/cut-off /root/cut-off")
    assert "unpacked" in server.run("dpkg-query -W -f '${db:Status-Status}' nginx").stdout
    # A dpkg that is killed leaves what it has not merged into its status yet.
    server.run("cd /var/lib/dpkg && sed -n '/^Package: nginx$/,/^$/p' status >updates/0000")
    refused = server.run("apt-get check", check=False)
    assert "dpkg was interrupted" in refused.stderr, refused

    server.write_file("/root/hold-lock.py", HOLD_LOCK)
    server.run("systemd-run -q --unit=hold-lock python3 /root/hold-lock.py")
    wait_until(lambda: "locked" in server.run("journalctl -u hold-lock -o cat").stdout, 60)
    process = call.start("uninstall", "moorage.yml", "--yes", "--packages", "--json")
    so_far = call.until(process, "lock-frontend")
    server.run("systemctl stop hold-lock; rm /root/hold-lock.py")
    done = call.finish(process, so_far)

    assert done.code == 0, done
    after = listing(server)
    assert of_moorage(after) == []
    check_same(before, after, (*BY_SYSTEM, *LEFT_BY_DEBIAN))


def _interrupt(call: CommandLine, server: LabServer, how: str, step: str, *words: str) -> None:
    server.inside("/run/interrupt").write_text(f"{how} {step}\n")
    process = call.start(*words)
    if how == "kill":
        assert call.finish(process).code != 0, step
        assert not server.inside("/run/interrupt").exists(), step
        return
    wait_until(lambda: server.inside("/run/reached").exists(), 120)
    server.crash()
    process.kill()
    process.wait()
    server.start()
    server.wait_until_up()
