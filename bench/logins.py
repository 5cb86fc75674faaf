"""Requests per second with passwords, compared with common nginx recipes and no password.

Run as root: python -m bench.logins [SECONDS]. It boots its own lab server and client. All four
variants serve `GET /v2/` of the same registry over TLS to 16 connections, one after the other.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.load import requests_per_second, write_login
from bench.unchanged import Bench
from lab import Lab, LabServer

DOMAIN = "registry.bench.test"
USER, PASSWORD = "ci", "a password for benchmarks"
SITE = """\
server {{
    listen {port} ssl;
    ssl_certificate /etc/nginx/moorage/tls/fullchain.pem;
    ssl_certificate_key /etc/nginx/moorage/tls/key.pem;
    location /v2/ {{
        {login}
        proxy_pass http://moorage_registry;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header Authorization "";
    }}
}}
"""
WAYS = {
    "no password": (8441, None),
    "apr1, checked on each request": (8442, "$apr1$"),
    "bcrypt 12, checked on each request": (8443, "$2"),
    "bcrypt 12, Moorage": (443, None),
}


def prepare(server: LabServer) -> None:
    """Add sites with the recipes beside Moorage's."""
    from passlib.hash import apr_md5_crypt

    from moorage.answers.secrets import Secret
    from moorage.users.passwords import hash_password

    hashes = {"$apr1$": apr_md5_crypt.hash(PASSWORD), "$2": hash_password(Secret(PASSWORD))}
    sites = ""
    for port, kind in WAYS.values():
        if port == 443:
            continue
        login = ""
        if kind is not None:
            file = f"/etc/nginx/bench-{port}.htpasswd"
            server.write_file(file, f"{USER}:{hashes[kind]}\n")
            login = f'auth_basic "Registry"; auth_basic_user_file {file};'
        sites += SITE.format(port=port, login=login)
    server.write_file("/etc/nginx/conf.d/bench.conf", sites)
    server.run("nginx -t -q && systemctl reload nginx && sleep 1")


def main() -> None:
    """Measure the four variants and print a table."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        server = lab.boot("bench")
        client = lab.boot("bench-client", variant="client")
        bench = Bench(server, Path(folder), PASSWORD)
        bench.moorage((server.address, 22), "--no-verify")
        prepare(server)
        write_login(client, USER, PASSWORD)
        rates = {}
        for way, (port, _kind) in WAYS.items():
            requests_per_second(client, server, DOMAIN, port, 5)
            rates[way] = requests_per_second(client, server, DOMAIN, port, seconds)
    none = rates["no password"]
    print(f"{'GET /v2/ over TLS, 16 connections':<36}{'requests/s':>12}{'ratio':>8}")
    for way, found in rates.items():
        print(f"{way:<36}{found:>12.0f}{found / none:>8.2f}")


if __name__ == "__main__":
    main()
