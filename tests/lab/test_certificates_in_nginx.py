"""The sample certificates, compared with nginx: whether it loads them, and what clients say."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
from certificate_samples import DOMAIN, SAMPLES, STRICTER, Sample

from lab import LabServer
from moorage.desired.certificates import find_faults

pytestmark = pytest.mark.ready

FIRST_PORT = 20000
CHECK = """
cd /srv/tls
for number in *; do
    printf 'events {} http { server { listen 1; ssl_certificate /srv/tls/%s/certificate;
        ssl_certificate_key /srv/tls/%s/key; } }' "$number" "$number" >/tmp/nginx.conf
    nginx -t -q -c /tmp/nginx.conf </dev/null 2>/dev/null && echo "$number"
done
"""


def test_what_is_accepted_is_loaded_by_nginx_and_trusted_by_clients(
    shared_server: LabServer, tmp_path: Path
) -> None:
    samples = {name: expected.make() for name, expected in SAMPLES.items()}
    loaded = _load(shared_server, list(samples.values()))

    differences = []
    for number, (name, sample) in enumerate(samples.items()):
        is_good = not list(find_faults(sample.certificate, sample.key, DOMAIN))
        (tmp_path / "root").write_bytes(sample.root)
        works = number in loaded and _is_trusted(
            shared_server.address, FIRST_PORT + number, tmp_path / "root"
        )
        if works != (is_good or name in STRICTER):
            differences.append(f"{name}: {'works' if works else 'does not work'}")

    assert differences == []


def _load(server: LabServer, samples: list[Sample]) -> set[int]:
    """Let nginx serve each sample on a port of its own; return those that it loads."""
    folder = server.inside("/srv/tls")
    for number, sample in enumerate(samples):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "certificate").write_bytes(sample.certificate)
        (folder / str(number) / "key").write_bytes(sample.key)
    loaded = {int(line) for line in server.run(CHECK, check=False).stdout.split()}
    site = (
        "server {{ listen {port} ssl; ssl_certificate /srv/tls/{number}/certificate; "
        "ssl_certificate_key /srv/tls/{number}/key; }}"
    )
    sites = [site.format(port=FIRST_PORT + number, number=number) for number in loaded]
    server.write_file("/etc/nginx/conf.d/samples.conf", "\n".join(sites))
    server.run("systemctl restart nginx")
    return loaded


def _is_trusted(address: str, port: int, root: Path) -> bool:
    client = ssl.create_default_context(cafile=str(root))
    client.hostname_checks_common_name = False  # as in Go, and so in Docker
    try:
        with (
            socket.create_connection((address, port), timeout=30) as plain,
            client.wrap_socket(plain, server_hostname=DOMAIN),
        ):
            return True
    except ssl.SSLError:
        return False
