"""An nginx that others use, too: their addresses, their settings, their packages, their ports."""

from __future__ import annotations

from time import sleep

import pytest
from operator_at_work import DOMAIN, Operator
from raw_http import Wire

from lab import LabServer
from moorage.deploy.verify.registry_client import RegistryClient

NEIGHBOUR = """
server {
    listen %s:443 ssl;
    server_name www.example.test;
    ssl_certificate /etc/ssl/neighbour.pem;
    ssl_certificate_key /etc/ssl/neighbour.key;
    location / { return 200 "neighbour\\n"; }
}
"""
FOR_ALL = """
gzip_types *;
gzip_proxied any;
satisfy any;
allow all;
auth_request /nothing;
charset utf-8;
expires max;
keepalive_timeout 0;
proxy_buffering off;
proxy_buffers 4 256k;
proxy_buffer_size 128k;
proxy_busy_buffers_size 256k;
proxy_cache_path /var/cache/all keys_zone=all:1m;
proxy_cache all;
proxy_cache_valid any 1h;
proxy_intercept_errors on;
proxy_pass_request_body off;
error_page 401 403 404 /sorry.html;
sub_filter_types *;
sub_filter e E;
"""


LIMIT_FOR_ALL = """
limit_req_zone $binary_remote_addr zone=all:1m rate=1r/s;
limit_req zone=all burst=10 nodelay;
"""


def _install(server: LabServer, *packages: str) -> None:
    server.run(
        f"apt-get -qq update && apt-get -qq -y install --no-install-recommends {' '.join(packages)}"
        " >/dev/null 2>&1",
        timeout=200,
    )


def _neighbours_certificate(server: LabServer) -> None:
    server.run(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=www.example.test -days 30 "
        "-keyout /etc/ssl/neighbour.key -out /etc/ssl/neighbour.pem 2>/dev/null"
    )


def _certificate_at(server: LabServer, name: str = DOMAIN) -> str:
    return server.run(
        f"openssl s_client -connect {server.address}:443 -servername {name} </dev/null 2>/dev/null"
        " | openssl x509 -noout -ext subjectAltName -subject 2>/dev/null",
        check=False,
    ).stdout


@pytest.mark.ready
def test_a_site_on_an_address_and_settings_for_all_sites(
    operator: Operator, server: LabServer
) -> None:
    _neighbours_certificate(server)
    server.write_file("/etc/nginx/sites-enabled/www", NEIGHBOUR % server.address)
    server.write_file("/etc/nginx/conf.d/all.conf", FOR_ALL)
    # From scratch, so that it has this address and no other.
    server.run("nginx -t -q && systemctl restart nginx")
    answers = operator.answers([server])

    operator.install(answers, verify=True)

    assert DOMAIN in _certificate_at(server)
    assert "www.example.test" in _certificate_at(server, "www.example.test")
    assert operator.status(server, "/", user=None, domain="www.example.test") == 200
    assert operator.status(server, user=None) == 401
    assert operator.status(server, password="wrong") == 401
    assert operator.status(server) == 200
    assert operator.status(server, "/healthz", user=None) == 200
    reply = Wire(server.address, DOMAIN).ask(
        "GET",
        "/v2/_catalog",
        login=("ci", operator.passwords["ci"]),
        headers=("Accept-Encoding: gzip",),
    )
    assert reply.status == 200
    assert "content-encoding" not in reply.headers
    assert reply.body.startswith(b'{"repositories"')
    assert not operator.plan(answers).has_changes
    # The sockets of nginx survive a start from scratch as well.
    server.run("systemctl restart nginx")
    assert operator.status(server) == 200
    assert DOMAIN in _certificate_at(server)


@pytest.mark.ready
def test_a_limit_for_all_sites_counts_clients_and_is_named(
    operator: Operator, server: LabServer
) -> None:
    _install(server, "curl")
    server.write_file("/etc/nginx/conf.d/all.conf", LIMIT_FOR_ALL)
    operator.install(operator.answers([server]))
    sleep(15)  # until the requests of the run no longer count

    # Below the limit of each address, and above it together.
    ask = f"curl -sk -o /dev/null -w '%%{{http_code}} ' https://%s/v2/ -H 'Host: {DOMAIN}' -u x:%s"
    for address in ("127.0.0.1", server.address):
        asked = "; ".join(ask % (address, f"{address}-{number}") for number in range(8))
        assert set(server.run(asked).stdout.split()) == {"401"}, address

    login = ("ci", operator.passwords["ci"])
    replies = [Wire(server.address, DOMAIN).ask("GET", "/v2/", login=login) for _ in range(15)]
    refused = [reply for reply in replies if reply.status != 200]
    assert {reply.status for reply in refused} == {503}
    assert b"limit_req" in refused[0].body
    assert b"layers" not in refused[0].body


@pytest.mark.ready
def test_an_old_registry_and_a_masked_nginx_are_problems_of_the_plan(
    operator: Operator, server: LabServer
) -> None:
    site = f"server {{ listen 80; server_name {DOMAIN}; return 200 old; }}\n"
    server.write_file("/etc/nginx/conf.d/app.conf", site)
    answers = operator.answers([server])
    [problem] = operator.plan(answers).problems
    assert problem.code == "name_taken"
    assert "/etc/nginx/conf.d/app.conf" in problem.message
    server.run("mv /etc/nginx/conf.d/app.conf /etc/nginx/sites-enabled/app")
    plan = operator.plan(answers)
    assert plan.problems == ()
    assert any("/etc/nginx/sites-enabled/app" in note.text for note in plan.servers[0].notes)
    server.run("systemctl disable -q --now nginx; systemctl mask -q nginx")
    assert [each.code for each in operator.plan(answers).problems] == ["unit_masked"]


def test_apache_keeps_its_ports_over_three_reboots(operator: Operator, server: LabServer) -> None:
    _install(server, "apache2", "openssl", "curl")
    _neighbours_certificate(server)
    server.run("a2enmod -q ssl && echo 'Listen 443' >/dev/null && systemctl restart apache2")
    registry = {"port": 8443, "redirect_http": False}
    answers = operator.answers([server], registry={"domain": DOMAIN, **registry})

    outcome = operator.install(answers, verify=True)

    [plan] = outcome.plan.servers
    assert "/etc/nginx/sites-enabled/default" in [change.subject for change in plan.changes]
    ask = (
        "curl -sk -o /dev/null -w '%{http_code} ' http://127.0.0.1/ https://127.0.0.1:8443/healthz"
        f" -H 'Host: {DOMAIN}'"
    )
    for _ in range(3):
        server.crash()
        server.start()
        server.run(f"for n in $(seq 50); do {ask} | grep -q '200 200' && break; sleep 0.2; done")
        assert server.run(ask).stdout.split() == ["200", "200"]
        owners = server.run("ss -Hltnp '( sport = :80 or sport = :443 )'").stdout
        assert "apache2" in owners
        assert "nginx" not in owners
    assert not operator.plan(answers).has_changes


def test_nginx_from_nginx_org(operator: Operator, server: LabServer) -> None:
    # As nginx.org has it: their version, their name, no interface for Debian's modules.
    _install(server, "openssl", "nginx-common")
    server.run(
        "cd /tmp && apt-get -qq download nginx && dpkg-deb -R nginx_*.deb tree && "
        "sed -i -e 's/^Version:.*/Version: 1.22.1-9~bookworm/' -e '/^Provides:/d' "
        "-e 's/^Maintainer:.*/Maintainer: NGINX Packaging <nginx-packaging@f5.com>/' "
        "-e '/^Depends:/s/, nginx-common[^,]*//' tree/DEBIAN/control && "
        "dpkg-deb -b tree theirs.deb >/dev/null && "
        "useradd -r -s /usr/sbin/nologin nginx && "
        "sed -i 's/www-data/nginx/' /etc/nginx/nginx.conf && "
        "dpkg -i theirs.deb >/dev/null && apt-mark -q hold nginx && systemctl restart nginx",
        timeout=200,
    )
    answers = operator.answers([server])

    outcome = operator.install(answers, verify=True)

    [plan] = outcome.plan.servers
    assert "libnginx-mod-http-js" not in [package.name for package in plan.packages]
    assert any(note.code == "no_njs" for note in plan.notes)
    group = server.run("stat -c %G /etc/nginx/moorage/htpasswd").stdout.strip()
    assert group == "nginx"
    assert not operator.plan(answers).has_changes


HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend public
    bind :443
    default_backend registry
backend registry
    option httpchk GET /healthz
    http-check send hdr Host registry.example.test
    server one 127.0.0.1:8443 send-proxy-v2 check check-ssl verify none check-send-proxy
"""


@pytest.mark.ready
def test_behind_a_balancer_that_sends_the_proxy_protocol(
    operator: Operator, server: LabServer
) -> None:
    _install(server, "haproxy")
    server.write_file("/etc/haproxy/haproxy.cfg", HAPROXY)
    server.run("systemctl restart haproxy")
    registry = {
        "domain": DOMAIN,
        "port": 8443,
        "listen": ["127.0.0.1"],
        "proxy_protocol": True,
        "redirect_http": False,
    }
    answers = operator.answers([server], registry=registry, ssl={"trusted_proxies": ["127.0.0.1"]})

    operator.install(answers)

    server.run(
        "for n in $(seq 50); do curl -sk https://127.0.0.1/v2/ >/dev/null && break; sleep 0.2; done"
    )
    assert operator.status(server) == 200
    assert operator.status(server, user=None) == 401
    log = server.read_file("/var/log/nginx/moorage.log").splitlines()[-1].split("\t")
    assert log[5] not in {"127.0.0.1", server.address}  # the client's own
    client = RegistryClient(server.address, 8443, DOMAIN, tls=True)
    with pytest.raises(Exception, match="8443"):
        client.request("GET", "/v2/")
    assert not operator.plan(answers).has_changes
