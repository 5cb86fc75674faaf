"""An import of the sample htpasswd files, compared with nginx: who gets in before and after."""

from __future__ import annotations

import base64
import http.client
import re
from collections.abc import Iterator

import pytest
from htpasswd_samples import OTHER_PASSWORD, PASSWORD, samples

from lab import LabServer
from moorage.desired.users import RegistryUser, access_map, htpasswd
from moorage.users.htpasswd_import import ImportedUser, parse_htpasswd

PORT = 8081
SITE = f"""
map $remote_user $sample_rules {{ default none; include /srv/samples/access.map; }}
server {{
    listen {PORT};
    root /srv/samples;
    location ~ ^/(?<sample>(?:before|after)/[a-z0-9_]+)$ {{
        auth_basic samples;
        auth_basic_user_file /srv/samples/$sample;
        add_header X-Rules $sample_rules always;
        try_files /none =204;
    }}
}}
"""

pytestmark = pytest.mark.ready


def test_an_import_lets_in_the_users_that_nginx_does_or_says_why_not(
    shared_server: LabServer,
) -> None:
    _serve(shared_server)

    differences = []
    for sample in samples():
        file = parse_htpasswd(sample.read_bytes())
        imported = {user.name.encode() for user in file.users}
        refused = {each.line for each in file.rejected}
        for line, name in _names(sample.read_bytes()):
            status, _ = _log_in(shared_server, f"/before/{sample.name}", name)
            if status == 204 and name not in imported and line not in refused:
                differences.append(f"{sample.name}: {name!r} is lost without a word")
        for name in imported:
            status, rules = _log_in(shared_server, f"/after/{sample.name}", name)
            if status != (401 if (sample.name, name) in OTHER_PASSWORD else 204):
                differences.append(f"{sample.name}: {name!r} gets {status} after the import")
            elif status == 204 and rules != f"pull {REPOSITORIES[name.decode()]}":
                differences.append(f"{sample.name}: {name!r} has the access {rules!r}")

    assert differences == []


def _imported() -> Iterator[ImportedUser]:
    for sample in samples():
        yield from parse_htpasswd(sample.read_bytes()).users


REPOSITORIES = {
    name: f"team-{number}/*"
    for number, name in enumerate(sorted({user.name for user in _imported()}))
}
"""By user: the only repository that they can pull from."""


def _serve(server: LabServer) -> None:
    """Let nginx serve the samples as they are and as imported, with one access map for all."""
    folder = server.inside("/srv/samples")
    for sample in samples():
        content = sample.read_bytes()
        users = [RegistryUser(each.name, each.hash) for each in parse_htpasswd(content).users]
        for part, text in (("before", content), ("after", htpasswd(users))):
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / part / sample.name).write_bytes(text)
    users = [RegistryUser(name, "", "pull", (only,)) for name, only in REPOSITORIES.items()]
    (folder / "access.map").write_bytes(access_map(users))
    server.write_file("/etc/nginx/conf.d/samples.conf", SITE)
    server.run("nginx -t && systemctl restart nginx")


def _names(content: bytes) -> list[tuple[int, bytes]]:
    """Return the name before the first colon of each line of a file, with the line's number."""
    lines = enumerate(re.split(rb"\r\n|\n|\r", content.removeprefix(b"\xef\xbb\xbf")), 1)
    return [(number, line.partition(b":")[0]) for number, line in lines if line.strip()]


def _log_in(server: LabServer, path: str, name: bytes) -> tuple[int, str]:
    """Return the status that nginx answers a user, and the user's access."""
    login = base64.b64encode(name + b":" + PASSWORD.encode()).decode()
    connection = http.client.HTTPConnection(server.address, PORT, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers.get("X-Rules", "")
