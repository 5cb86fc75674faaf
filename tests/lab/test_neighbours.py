"""Other sites on the same nginx go on being served, whatever happens to ours."""

from __future__ import annotations

import pytest
from operator_at_work import Operator
from traffic import push_blob

from lab import LabServer
from moorage.answers.secrets import Secret
from moorage.deploy.events import Event, StepBegan
from moorage.deploy.verify.registry_client import RegistryClient

SITE = """
server {
    listen 80;
    listen 443 ssl;
    server_name www.example.test;
    ssl_certificate /etc/ssl/neighbour.pem;
    ssl_certificate_key /etc/ssl/neighbour.key;
    location / { default_type text/plain; return 200 "neighbour\\n"; }
}
"""

OLD_CONFIG = """
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: ":5000", relativeurls: true}
"""


def _install_neighbour(server: LabServer) -> None:
    server.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=www.example.test -days 30 "
        "-keyout /etc/ssl/neighbour.key -out /etc/ssl/neighbour.pem 2>/dev/null"
    )
    server.write_file("/etc/nginx/sites-enabled/neighbour", SITE)
    server.run("systemctl reload nginx")


@pytest.mark.ready
def test_a_neighbouring_site_is_still_served(operator: Operator, server: LabServer) -> None:
    _install_neighbour(server)
    # nginx takes some lines only before the first map, and the registry's site has maps.
    server.write_file("/etc/nginx/conf.d/owner.conf", "map_hash_bucket_size 128;\n")
    server.run("nginx -t -q")
    [problem] = operator.plan(operator.answers([server])).problems
    assert problem.code == "nginx_order"
    assert "/etc/nginx/conf.d/owner.conf sets map_hash_bucket_size" in problem.message
    server.run("mv /etc/nginx/conf.d/owner.conf /etc/nginx/conf.d/a-owner.conf")
    operator.install(operator.answers([server]), verify=True)
    assert operator.status(server, "/", user=None, domain="www.example.test") == 200
    assert operator.status(server) == 200
    assert server.read_file("/etc/nginx/sites-enabled/neighbour") == SITE


@pytest.mark.deployed
def test_a_broken_neighbour_rolls_everything_back(operator: Operator, server: LabServer) -> None:
    broken = ("/etc/nginx/conf.d/broken.conf", "server { listen 81; nonsense on; }\n")
    before = server.run("find /etc/moorage /etc/nginx -type f | sort | xargs sha256sum").stdout
    answers = operator.answers(
        [server],
        registry={"domain": "registry.example.test", "settings": {"log": {"level": "debug"}}},
        credentials={"users": [{"name": "ana", "password": {"generate": True}}]},
    )

    def break_it(event: Event) -> None:
        if isinstance(event, StepBegan) and event.step == "registry":
            server.write_file(*broken)

    outcome = operator.apply(answers, on_event=break_it)

    [report] = outcome.report.servers
    assert report.status == "failed"
    assert "/etc/nginx/conf.d/broken.conf:1" in report.message
    # What was broken before a run is known to the plan.
    [problem] = operator.plan(answers).problems
    assert "/etc/nginx/conf.d/broken.conf:1" in problem.message
    server.run("mv /etc/nginx/conf.d/broken.conf /tmp")
    assert "rolled back" in outcome.log
    assert operator.status(server) == 200
    after = server.run("find /etc/moorage /etc/nginx -type f | sort | xargs sha256sum").stdout
    assert [line for line in after.splitlines() if "/green/" not in line] == before.splitlines()
    states = server.run(
        "systemctl is-active moorage-registry@blue moorage-registry@green || true"
    ).stdout.split()
    assert states == ["active", "inactive"]

    assert operator.apply(answers).report.is_good


@pytest.mark.ready
def test_the_packaged_registrys_images_are_adopted(operator: Operator, server: LabServer) -> None:
    folder = "/var/lib/docker-registry"
    server.write_file("/etc/docker/registry/config.yml", OLD_CONFIG)
    unit = "docker-registry"
    server.run(f"systemctl unmask -q {unit}; systemctl enable -q {unit}; systemctl restart {unit}")
    server.run("until ss -Hltn 'sport = :5000' | grep -q .; do sleep 0.2; done")
    old = RegistryClient(server.address, 5000, server.address, False, None, "", Secret(""))
    digest = push_blob(old, "team/kept", b"kept" * 1000)
    storage = {"driver": "filesystem", "filesystem": {"path": folder}}
    answers = operator.answers([server], storage=storage)

    # It fails after the folder was taken over: everything is given back.
    server.write_file("/usr/local/sbin/openssl", "#!/bin/sh\nexit 1\n", mode=0o755)
    assert operator.apply(answers).report.servers[0].status == "failed"
    server.run("rm /usr/local/sbin/openssl")
    assert old.request("GET", f"/v2/team/kept/blobs/{digest}").status == 200
    assert push_blob(old, "team/kept", b"more" * 1000)
    assert server.run(["stat", "-c", "%U", folder]).stdout == "docker-registry\n"

    outcome = operator.install(answers)

    subjects = [change.subject for change in outcome.plan.servers[0].changes]
    assert "docker-registry: mask --now" in subjects
    assert operator.status(server, f"/v2/team/kept/blobs/{digest}") == 200
    states = "systemctl is-active docker-registry; systemctl is-enabled docker-registry"
    assert server.run(states, check=False).stdout.split() == ["inactive", "masked"]
