"""Facts from what nginx prints, of sites as people write them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.servers.nginx_config import read_listen, read_nginx
from moorage.servers.nginx_facts import NginxListen

MANAGED = ("/etc/nginx/moorage", "/etc/nginx/conf.d/moorage.conf")
BUILD = "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0\nconfigure arguments: --user=www --x\n"
DUMP = """\
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
# configuration file /etc/nginx/nginx.conf:
user nginx web;
load_module modules/ngx_http_js_module.so;
events { worker_connections 768; }
http {
    gzip_types *; # all of them
    log_format odd 'a "quoted; } word" $x' "and ${y}";
    map $a $b { default 0; "~^a{2}" 1; }
    include conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
stream { server { listen 8443; proxy_pass 10.0.0.1:443; } }
# configuration file /etc/nginx/conf.d/app.conf:
server {
    listen 192.0.2.1:443 ssl http2 default_server;
    listen [2001:DB8::1]:443 ssl;
    listen unix:/run/app.sock;
    listen 443 quic reuseport;
    server_name App.example.com "~^www\\d+\\.example\\.com$";
    content_by_lua_block { -- it's a } in Lua
        ngx.say("} server {") --[[ ' } ]]
    }
    location / { return 200 "listen 99;"; listen 98; }
    include snippets/more.conf;
}
# configuration file /etc/nginx/snippets/more.conf:
ssl on;
}
# configuration file /etc/nginx/conf.d/moorage.conf:
server { listen 443; server_name registry.example.com; }
# configuration file /etc/nginx/sites-enabled/default:
server { server_name _; }
server { listen localhost:8000-8010; listen *:80; }
"""


def test_listens_names_and_files_are_parsed_as_nginx_does() -> None:
    facts = read_nginx(BUILD + DUMP, "NGINX Packaging <nginx-packaging@f5.com>", MANAGED)
    assert (facts.version, facts.user, facts.group) == ("1.22.1", "nginx", "web")
    assert not facts.is_from_distribution
    assert (facts.loads_njs, facts.includes_site, facts.fault) == (True, True, "")
    app, default, last, stream = facts.servers
    assert app.file == "/etc/nginx/conf.d/app.conf"
    assert app.names == ("app.example.com", "~^www\\d+\\.example\\.com$")
    assert app.comes_first
    assert app.listens == (
        NginxListen("192.0.2.1", 443, 443, frozenset({"ssl", "http2", "default_server"})),
        NginxListen("[2001:db8::1]", 443, 443, frozenset({"ssl"})),
    )
    assert default.listens == (NginxListen("*", 80, 80),)
    assert not default.comes_first
    assert last.listens[0].covers(8005)
    assert last.listens[0].address == "127.0.0.1"
    assert (stream.kind, stream.listens[0].first) == ("stream", 8443)
    assert facts.http["gzip_types"] == "/etc/nginx/nginx.conf"
    assert "listen" not in facts.http


@pytest.mark.parametrize(
    ("line", "cuts"),
    [("worker_shutdown_timeout 10s;", True), ("worker_shutdown_timeout 0;", False),
     ("worker_shutdown_timeout 0s;", False), ("worker_processes 4;", False)],
)  # fmt: skip
def test_a_limit_to_transfers_after_a_reload_is_found(line: str, cuts: bool) -> None:
    dump = (
        "# configuration file /etc/nginx/nginx.conf:\ninclude modules-enabled/*.conf;\n"
        f"http {{}}\n# configuration file /etc/nginx/modules-enabled/time.conf:\n{line}\n"
    )
    facts = read_nginx(BUILD + dump, "", MANAGED)
    assert facts.cuts_transfers == ("/etc/nginx/modules-enabled/time.conf" if cuts else "")


def test_a_configuration_that_nginx_rejects() -> None:
    dump = (
        'nginx: [emerg] unknown directive "x" in /etc/nginx/conf.d/a.conf:3\n'
        "nginx: configuration file /etc/nginx/nginx.conf test failed\n"
    )
    facts = read_nginx(BUILD + dump, "", MANAGED)
    assert facts.fault == 'unknown directive "x" in /etc/nginx/conf.d/a.conf:3'
    assert (facts.user, facts.group, facts.includes_site) == ("", "", True)


def test_an_nginx_whose_files_name_no_user() -> None:
    dump = "# configuration file /etc/nginx/nginx.conf:\nhttp { include conf.d/*.conf; }\n"
    facts = read_nginx(BUILD + dump, "", MANAGED)
    assert (facts.user, facts.group) == ("www", "www")
    facts = read_nginx("nginx version: nginx/1.22.1\n" + dump, "", MANAGED)
    assert (facts.user, facts.group) == ("nobody", "nogroup")


def test_a_main_file_that_does_not_read_conf_d() -> None:
    dump = "# configuration file /etc/nginx/nginx.conf:\nhttp { include sites-enabled/*; }\n"
    assert not read_nginx(BUILD + dump, "", MANAGED).includes_site


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_output_can_be_parsed(head: str, tail: str) -> None:
    read_nginx(head + "\n# configuration file /a/b.conf:\n" + tail, head, MANAGED)


def test_megabytes_of_hostile_output_parse_quickly() -> None:
    started = time.monotonic()
    for piece in ("${a", "include b.conf;", '"\\', "a_by_lua_block {--[[\n", "{", "'x"):
        text = piece * (256 * 1024 // len(piece))
        read_nginx(f"# configuration file /a/b.conf:\n{text}", "", MANAGED)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("port", ["123456", "1" * 5000, "192.0.2.1:" + "1" * 5000])
def test_an_invalid_port_is_not_a_listen(port: str) -> None:
    assert read_listen([port]) is None
