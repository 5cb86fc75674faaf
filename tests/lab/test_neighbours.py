"""Other sites on the same nginx go on being served, whatever happens to ours."""

from __future__ import annotations

from operator_at_work import Operator

from lab import LabServer

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


def _install_neighbour(server: LabServer) -> None:
    server.run("apt-get -q -y install --no-install-recommends nginx >/dev/null 2>&1", timeout=120)
    server.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=www.example.test -days 30 "
        "-keyout /etc/ssl/neighbour.key -out /etc/ssl/neighbour.pem 2>/dev/null"
    )
    server.write_file("/etc/nginx/sites-enabled/neighbour", SITE)
    server.run("systemctl reload nginx")


def test_a_neighbouring_site_goes_on_being_served(operator: Operator, server: LabServer) -> None:
    _install_neighbour(server)
    operator.install(operator.answers([server]), verify=True)
    assert operator.status(server, "/", user=None, domain="www.example.test") == 200
    assert operator.status(server) == 200
    assert server.read_file("/etc/nginx/sites-enabled/neighbour") == SITE


def test_a_broken_neighbour_rolls_everything_back(operator: Operator, server: LabServer) -> None:
    operator.install(operator.answers([server]))
    server.write_file("/etc/nginx/conf.d/broken.conf", "server { listen 81; nonsense on; }\n")
    before = server.run("find /etc/moorage /etc/nginx -type f | sort | xargs sha256sum").stdout
    answers = operator.answers(
        [server],
        registry={"domain": "registry.example.test", "settings": {"log": {"level": "debug"}}},
        credentials={"users": [{"name": "ana", "password": {"generate": True}}]},
    )

    outcome = operator.apply(answers)

    [report] = outcome.report.servers
    assert report.status == "failed"
    assert "/etc/nginx/conf.d/broken.conf:1" in report.message
    assert "rolled back" in outcome.log
    assert operator.status(server) == 200
    after = server.run("find /etc/moorage /etc/nginx -type f | sort | xargs sha256sum").stdout
    assert [line for line in after.splitlines() if "/green/" not in line] == before.splitlines()
    states = server.run(
        "systemctl is-active moorage-registry@blue moorage-registry@green || true"
    ).stdout.split()
    assert states == ["active", "inactive"]

    server.run("rm /etc/nginx/conf.d/broken.conf")
    assert operator.apply(answers).report.is_good
