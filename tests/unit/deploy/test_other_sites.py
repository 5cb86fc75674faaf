"""Other sites of a server's nginx: where to listen beside them, and what is said before a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moorage.answers.model import Answers
from moorage.answers.secrets import Secret
from moorage.deploy.plan.listen_addresses import addresses_on, needs_restart
from moorage.deploy.plan.other_sites import drops_default_site
from moorage.deploy.plan.platform import can_remember_logins, platform_of
from moorage.deploy.plan.preflight import find_notes, find_problems
from moorage.desired import layout
from moorage.desired.build import desired, listening_ports
from moorage.desired.state import DesiredState, Materials
from moorage.servers.facts import Facts, Listener, ManagedFile, Service
from moorage.servers.nginx_config import read_nginx

DOMAIN = "registry.example.com"
TOOLS = frozenset({"apt-get", "dpkg-query", "systemctl", "systemd-run", "flock", "ss"})
FREE = Service("nginx", "active", "enabled")


def _facts(
    site: str = "", *, http: str = "", file: str = "sites-enabled/app", **more: Any
) -> Facts:
    dump = (
        "# configuration file /etc/nginx/nginx.conf:\nuser www-data;\n"
        f"http {{ {http} include conf.d/*.conf; include sites-enabled/*; }}\n"
        f"# configuration file /etc/nginx/{file}:\n{site}\n"
    )
    nginx = read_nginx(f"nginx version: nginx/1.22.1\n{dump}", "Debian", layout.MANAGED)
    facts = Facts(
        "one",
        os={"ID": "debian", "VERSION_ID": "12"},
        systemd=True,
        ipv6=True,
        tools=TOOLS,
        packages={"nginx": "1.22.1"},
        services={"nginx": FREE},
        nginx=nginx,
    )
    return replace(facts, **more)


def _wanted(facts: Facts, *, ssl: str = "private_ca", **registry: Any) -> DesiredState:
    answers = Answers.model_validate(
        {
            "registry": {"domain": DOMAIN, **registry},
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            "ssl": {"mode": ssl},
        }
    )
    materials = Materials(http_secret=Secret("a"), auth_key=Secret("b"))
    platform = platform_of(facts, {}, listening_ports(answers))
    return desired(answers, materials, platform, "blue")


def _problems(facts: Facts, **more: Any) -> dict[str, str]:
    return {each.code: each.message for each in find_problems(_wanted(facts, **more), facts)}


def _notes(facts: Facts, **more: Any) -> str:
    return "\n".join(map(str, find_notes(_wanted(facts, **more), facts)))


def test_a_reload_that_cuts_transfers_is_noted_with_the_file() -> None:
    facts = _facts("")
    assert "worker_shutdown_timeout" not in _notes(facts)
    assert facts.nginx is not None
    nginx = replace(facts.nginx, cuts_transfers="/etc/nginx/nginx.conf")
    notes = _notes(replace(facts, nginx=nginx))
    assert "/etc/nginx/nginx.conf sets worker_shutdown_timeout" in notes
    assert "Remove the line" in notes


def test_the_site_listens_on_addresses_of_other_sites() -> None:
    facts = _facts("server { listen 192.0.2.1:443 ssl; listen [2001:db8::1]:443 ssl; }")
    assert addresses_on(facts, 443) == ("*", "[::]", "192.0.2.1", "[2001:db8::1]")
    assert addresses_on(facts, 80) == ("*", "[::]")
    site = next(each for each in _wanted(facts).files if each.path == layout.NGINX_SITE)
    assert b"listen 192.0.2.1:443 ssl;" in site.content


def test_an_address_nginx_already_listens_on_is_not_listed_beside_the_wildcard() -> None:
    site = "server { listen 192.0.2.1:443 ssl; }"
    facts = _facts(site, listeners=(Listener("192.0.2.1", 443, "nginx"),))
    assert addresses_on(facts, 443) == ("[::]", "192.0.2.1")
    assert not needs_restart(facts, _wanted(facts).listens)
    assert "only on 192.0.2.1" in _notes(facts)
    # All of them, when only the server itself reaches what nginx has: that takes a restart.
    facts = _facts(
        "server { listen 127.0.0.1:443 ssl; }", listeners=(Listener("127.0.0.1", 443, "nginx"),)
    )
    assert addresses_on(facts, 443) == ("*", "[::]", "127.0.0.1")
    assert needs_restart(facts, _wanted(facts).listens)


def test_both_families_in_one_socket() -> None:
    facts = _facts("server { listen [::]:443 ssl ipv6only=off; }")
    assert addresses_on(facts, 443) == ("[::]",)


def test_configured_addresses() -> None:
    facts = _facts(listeners=(Listener("*", 443, "nginx"),))
    wanted = _wanted(facts, listen=["192.0.2.1", "2001:db8::1"], redirect_http=False)
    assert [str(each) for each in wanted.listens] == ["192.0.2.1:443 ssl", "[2001:db8::1]:443 ssl"]
    assert needs_restart(facts, wanted.listens)


@pytest.mark.parametrize(
    ("site", "more", "code", "said"),
    [
        ("server { listen 443; }", {}, "listens_differ", "without ssl"),
        ("server { listen 80 ssl; }", {"ssl": "none", "port": 80}, "listens_differ", "with ssl"),
        ("server { listen 443 ssl proxy_protocol; }", {}, "listens_differ", "proxy_protocol"),
        (f"server {{ listen 443 ssl; server_name {DOMAIN}; }}", {}, "name_taken", "conf.d/app"),
        (f"server {{ listen 80; server_name {DOMAIN}; }}", {}, "name_taken", "port 80"),
    ],
)
def test_conflicting_sites_are_problems(
    site: str, more: dict[str, Any], code: str, said: str
) -> None:
    facts = _facts(site, file="conf.d/app.conf")
    problems = _problems(facts, **more)
    assert said in problems[code]
    assert "/etc/nginx/conf.d/app.conf" in problems[code]


@pytest.mark.parametrize(
    "site",
    [
        "server { listen 443 ssl; listen 80; server_name www.example.com; }",
        "server { listen 192.0.2.9:8443; }",
        "server { listen 443 quic; }",
    ],
)
def test_compatible_sites_are_not_problems(site: str) -> None:
    assert _problems(_facts(site, file="conf.d/app.conf")) == {}


def test_a_stream_server_on_the_port_is_a_problem() -> None:
    facts = _facts()
    assert facts.nginx is not None
    dump = (
        "# configuration file /etc/nginx/nginx.conf:\n"
        "stream { server { listen 443; } }\nhttp { include conf.d/*.conf; }\n"
    )
    facts = replace(facts, nginx=read_nginx(dump, "Debian", layout.MANAGED))
    assert "taken by nginx itself" in _problems(facts)["port_taken"]


def test_a_server_name_served_by_a_later_site_is_a_note() -> None:
    facts = _facts(f"server {{ listen 443 ssl; server_name {DOMAIN}; }}")
    assert _problems(facts) == {}
    assert "/etc/nginx/sites-enabled/app also serves registry.example.com on port 443" in _notes(
        facts
    )


def test_a_default_site_is_noted() -> None:
    assert "default site for unknown names" in _notes(
        _facts("server { listen 443 ssl; server_name _; }")
    )
    assert "default site for unknown names" not in _notes(
        _facts("server { listen 443 ssl default_server; }")
    )


def test_settings_at_http_level_are_overridden() -> None:
    facts = _facts(http="brotli on; deny 192.0.2.0/24;")
    undone = next(each for each in _wanted(facts).files if each.path == layout.INHERITED)
    assert b"brotli off;" in undone.content
    assert "/etc/nginx/nginx.conf sets deny for all sites" in _notes(facts)


def test_a_program_on_another_address_is_not_a_problem() -> None:
    facts = _facts(listeners=(Listener("192.0.2.2", 443, "apache2"),))
    assert "port 443 is taken by apache2" in _problems(facts)["port_taken"]
    assert _problems(facts, listen=["192.0.2.1"], redirect_http=False) == {}


def test_an_unusable_nginx_is_a_problem() -> None:
    masked = _facts(services={"nginx": Service("nginx", "inactive", "masked")})
    assert _problems(masked) == {"unit_masked": "nginx.service is masked, so it cannot be started."}
    dump = 'nginx: [emerg] unknown directive "x" in /etc/nginx/conf.d/%s:1\n'
    broken = replace(masked, services={}, nginx=read_nginx(dump % "a.conf", "", ()))
    assert "conf.d/a.conf:1" in _problems(broken)["nginx_broken"]
    # An apply mends what is Moorage's own.
    ours = replace(broken, nginx=read_nginx(dump % "moorage.conf", "", ()))
    assert _problems(ours) == {}
    stopped = _facts(
        "server { listen 80 default_server; }",
        services={"nginx": Service("nginx", "inactive", "enabled")},
        listeners=(Listener("*", 80, "apache2"),),
    )
    problems = _problems(stopped, port=8443, redirect_http=False)
    assert (
        "sites-enabled/app listens on port 80, which apache2 uses" in problems["nginx_cannot_start"]
    )
    dump = "# configuration file /etc/nginx/nginx.conf:\nhttp { include sites/*; }\n"
    apart = replace(stopped, listeners=(), nginx=read_nginx(dump, "", layout.MANAGED))
    assert list(_problems(apart)) == ["nginx_ignores_site"]


def test_the_default_site_is_disabled_where_its_port_is_in_use() -> None:
    bare = _facts(packages={}, nginx=None, services={}, listeners=(Listener("*", 80, "apache2"),))
    assert drops_default_site(_wanted(bare, port=8443, redirect_http=False), bare)
    assert not drops_default_site(_wanted(bare, port=8443), bare)
    free = replace(bare, listeners=())
    assert not drops_default_site(_wanted(free, port=8443, redirect_http=False), free)


def test_njs_is_installed_only_for_the_distributions_nginx() -> None:
    facts = _facts(offers_njs=True)
    assert facts.nginx is not None
    assert can_remember_logins(facts)
    theirs = replace(facts.nginx, maintainer="NGINX Packaging <nginx-packaging@f5.com>")
    assert not can_remember_logins(replace(facts, nginx=theirs))
    loaded = replace(theirs, loads_njs=True)
    assert can_remember_logins(replace(facts, nginx=loaded))


def test_files_belong_to_the_group_of_nginxs_workers() -> None:
    facts = _facts()
    assert facts.nginx is not None
    for group, expected in (("web", "web"), ("x;y\t", "www-data")):
        there = replace(facts, nginx=replace(facts.nginx, group=group))
        htpasswd = next(each for each in _wanted(there).files if each.path == layout.HTPASSWD)
        assert htpasswd.group == expected


@pytest.mark.parametrize("site", ["server { listen 192.0.2.1:443 ssl; }", ""])
def test_settings_stay_while_nginx_cannot_be_read(site: str) -> None:
    facts = _facts(site, http="brotli on; error_page 404 /x; mirror /y;")
    wanted = _wanted(facts)
    files = {
        file.path: ManagedFile(file.path, file.content, 0o644, "root", "root")
        for file in wanted.files
    }
    dump = 'nginx: [emerg] unknown directive "x" in /etc/nginx/conf.d/moorage.conf:1\n'

    refused = read_nginx(f"nginx version: nginx/1.22.1\n{dump}", "Debian", layout.MANAGED)
    for nginx in (refused, None):
        then = _wanted(replace(facts, nginx=nginx, files=files))
        assert [(file.path, file.content) for file in then.files] == [
            (file.path, file.content) for file in wanted.files
        ]
