"""A server whose nginx cannot run scripts: every request's password is checked."""

from __future__ import annotations

from operator_at_work import DOMAIN, Operator
from raw_http import Wire

from lab import LabServer

NJS = "libnginx-mod-http-js"


def test_without_njs_passwords_are_sha512_and_everything_else_works(
    operator: Operator, server: LabServer
) -> None:
    server.run("apt-get -qq update")
    server.write_file(
        "/etc/apt/preferences.d/no-njs", f"Package: {NJS}\nPin: release *\nPin-Priority: -1\n"
    )
    users = [
        {"name": "ci", "password": {"generate": True}},
        {"name": "ana", "access": "pull", "repositories": ["a/*"], "password": {"generate": True}},
    ]
    answers = operator.answers([server], credentials={"users": users})

    outcome = operator.install(answers, verify=True)

    [plan] = outcome.plan.servers
    assert NJS not in [package.name for package in plan.packages]
    assert any(note.code == "no_njs" for note in plan.notes)
    htpasswd = server.read_file("/etc/nginx/moorage/htpasswd")
    assert all(line.partition(":")[2].startswith("$6$") for line in htpasswd.splitlines())
    assert operator.apply(answers).plan.has_changes is False
    wire, ana = Wire(server.address, DOMAIN), ("ana", operator.passwords["ana"])
    assert wire.ask("GET", "/v2/", login=ana).status == 200
    assert wire.ask("GET", "/v2/b/c/tags/list", login=ana).status == 403
    assert wire.ask("GET", "/v2/a/c/tags/list", login=ana).status == 404
    guesses = {wire.ask("GET", "/v2/", login=("ci", f"guess {n}")).status for n in range(40)}
    assert guesses == {401, 429}
