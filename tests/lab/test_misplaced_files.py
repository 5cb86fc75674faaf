"""Links, a broken record, another site in the registry's place: refused, named, nothing lost."""

from __future__ import annotations

import pytest
from explained import explained
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from moorage.deploy.status.status import status_of
from moorage.deploy.users.change import read_users
from moorage.desired import layout
from moorage.errors import MoorageError

pytestmark = pytest.mark.ready

MINE = "/etc/nginx/conf.d/a.conf"
SITE = f"""\
server {{
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name {DOMAIN};
    ssl_certificate /etc/nginx/moorage/tls/fullchain.pem;
    ssl_certificate_key /etc/nginx/moorage/tls/key.pem;
    return 200 mine;
}}
"""


@pytest.mark.deployed
def test_links_and_folders_in_place_of_files_are_problems(
    operator: Operator, server: LabServer
) -> None:
    answers = operator.answers([server])
    htpasswd = server.read_file(layout.HTPASSWD)

    def said() -> tuple[list[str | None], str]:
        with operator.open(answers) as deployment:
            [facts] = deployment.probe()
            problems = deployment.plan_from([facts]).problems
            return [each.code for each in problems], " ".join(explained(status_of(facts)))

    def users() -> set[str]:
        with operator.open(answers) as deployment:
            return {user.name for user in read_users(deployment).users}

    # The users are behind a link: nginx goes on reading them, and none is lost.
    server.run(f"mv {layout.HTPASSWD} /srv/htp && ln -s /srv/htp {layout.HTPASSWD}")
    codes, faults = said()
    assert codes == ["not_a_file"]
    assert f"{layout.HTPASSWD} is a symbolic link to /srv/htp" in faults
    with pytest.raises(MoorageError, match="symbolic link"):
        users()
    server.run(f"cp --remove-destination -p $(readlink -f {layout.HTPASSWD}) {layout.HTPASSWD}")
    server.run("rm /srv/htp")
    assert server.read_file(layout.HTPASSWD) == htpasswd
    assert users() == {user.name for user in answers.credentials.users}

    # A folder was moved to another disk.
    server.run("mv /etc/moorage/registry /srv/ && ln -s /srv/registry /etc/moorage/registry")
    codes, faults = said()
    assert codes == ["not_a_folder"]
    assert "/etc/moorage/registry is a symbolic link to /srv/registry" in faults
    server.run("rm /etc/moorage/registry && mv /srv/registry /etc/moorage/")

    # Without the record, a missing disk of images could not be told from a new server.
    record = server.read_file(layout.DEPLOYMENT)
    for broken in ("{", record[: len(record) // 2]):
        server.write_file(layout.DEPLOYMENT, broken, mode=0o600)
        codes, faults = said()
        assert codes == ["record_unreadable"]
        assert "cannot be read" in faults
        with pytest.raises(MoorageError, match=r"deployment\.json cannot be read"):
            users()
    server.write_file(layout.DEPLOYMENT, record, mode=0o600)
    assert said() == ([], "")

    # Another site took the name after the apply.
    server.write_file(MINE, SITE)
    server.run("nginx -t -q && systemctl reload nginx")
    codes, faults = said()
    assert codes == ["name_taken"]
    assert f"{MINE} serves {DOMAIN} on port 443" in faults
    server.run(f"rm {MINE} && systemctl reload nginx")
    assert said() == ([], "")
    assert not operator.plan(answers).has_changes
