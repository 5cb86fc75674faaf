"""When users were last here: real requests, real logs, rotated by the distribution's logrotate."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace

import pytest
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from moorage.answers.model import Answers
from moorage.deploy.images.activity import read_activity
from moorage.deploy.users.change import change_users, plan_change, read_users
from moorage.deploy.users.last_seen import Seen, read_last_seen
from moorage.desired import layout

pytestmark = pytest.mark.ready

ANA = "ana+x@example.com"
EMPTY_LIST = (
    '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json",'
    '"manifests":[]}'
)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _put_manifest(operator: Operator, server: LabServer, user: str) -> int:
    completed = subprocess.run(
        ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-m", "20", "-X", "PUT",
         "-H", "Content-Type: application/vnd.docker.distribution.manifest.list.v2+json",
         "--data-binary", EMPTY_LIST, "--resolve", f"{DOMAIN}:443:{server.address}",
         "-K", "-", f"https://{DOMAIN}/v2/team/app/manifests/latest"],
        input=f'user = "{user}:{operator.passwords[user]}"\n',
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return int(completed.stdout or 0)


def _add_ana(operator: Operator, answers: Answers) -> None:
    with operator.open(answers) as deployment:
        read = read_users(deployment)
        ana = replace(read.users[0], name=ANA, access="pull")
        assert change_users(deployment, plan_change(read, [*read.users, ana])).is_good
    operator.passwords[ANA] = operator.passwords["ci"]


def _seen(operator: Operator, answers: Answers) -> dict[str, Seen]:
    with operator.open(answers) as deployment:
        read = read_last_seen(deployment)
    assert read.left_out == ()
    return dict(read.times)


def test_the_last_request_and_push_of_each_user(operator: Operator, server: LabServer) -> None:
    # Tokyo's time, so that times that were not converted would show.
    server.run("ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime")
    answers = operator.answers([server])
    assert _seen(operator, answers) == {}
    operator.install(answers)
    _add_ana(operator, answers)

    pushed = _now()
    assert _put_manifest(operator, server, "ci") == 201
    pushed_by = _now()
    assert _put_manifest(operator, server, ANA) == 403
    # Names that are only claimed: a wrong password, none that is checked, and a broken request.
    assert operator.status(server, user="ghost", password="wrong") == 401
    assert operator.status(server, "/", user="ghost", password="wrong") == 404
    broken = "GET /v2/ HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Basic Z2hvc3Q6d3Jvbmc=\\r\\n"
    server.run(
        f"printf '{broken}Content-Length: nonsense\\r\\n\\r\\n' | "
        "timeout 5 openssl s_client -quiet -connect 127.0.0.1:443 || true"
    )
    log = server.read_file("/var/log/nginx/moorage.log")
    assert {line.split("\t")[2] for line in log.splitlines() if "\tghost\t" in line} == {
        "400", "401", "404"
    }  # fmt: skip
    assert "+09:00\t" in log

    found = _seen(operator, answers)

    assert set(found) == {"ci", ANA}
    assert pushed <= found["ci"].last_push <= pushed_by
    assert pushed <= found["ci"].last_seen <= pushed_by
    assert pushed_by <= found[ANA].last_seen <= _now()
    assert found[ANA].last_push == ""

    # The index is readable by root alone, and an update reads only what is new.
    kept = server.run(f"stat -Lc '%a %U' {layout.ACTIVITY}/. {layout.ACTIVITY_INDEX}").stdout
    assert kept.replace("moorage-activity", "UNKNOWN") == "700 UNKNOWN\n600 UNKNOWN\n"
    size = server.run("stat -c %s /var/log/nginx/moorage.log").stdout.strip()
    assert f"\t{size}\n" in server.read_file(layout.ACTIVITY_INDEX)
    assert operator.status(server, user=ANA) == 200
    partly = _seen(operator, answers)
    assert partly["ci"] == found["ci"]
    assert partly[ANA].last_seen >= found[ANA].last_seen

    # Rotated twice: the log with the push is packed.
    server.run("apt-get -q -y install logrotate")
    for _ in range(2):
        server.run("logrotate -f /etc/logrotate.d/nginx")
        time.sleep(1.1)
        again = _now()
        assert operator.status(server, user=ANA) == 200
    names = server.run("cd /var/log/nginx && ls moorage.log*").stdout.split()
    assert names == ["moorage.log", "moorage.log.1", "moorage.log.2.gz"]

    rotated = _seen(operator, answers)

    assert rotated["ci"] == found["ci"]
    assert again <= rotated[ANA].last_seen <= _now()

    # What the log no longer has is still known.
    server.run("rm /var/log/nginx/moorage.log.*")
    assert _seen(operator, answers)["ci"] == found["ci"]


@pytest.mark.deployed
def test_a_server_that_cannot_be_read_does_not_affect_the_others(
    operator: Operator, server: LabServer
) -> None:
    assert operator.status(server) == 200
    document = operator.answers([server]).model_dump(mode="json")
    document["servers"].append({**document["servers"][0], "host": "127.0.0.1", "port": 1})
    document["storage"] = {"driver": "s3", "s3": {"bucket": "none", "region": "none"}}
    two = Answers.model_validate(document)

    with operator.open(two) as deployment:
        read = read_last_seen(deployment)
    assert read.left_out == ("127.0.0.1",)
    assert read.times["ci"].last_seen

    # A log that only root can read is read; what cannot be read is an error, not an empty index.
    server.run("chmod 600 /var/log/nginx/moorage.log && chown root: /var/log/nginx/moorage.log")
    assert operator.status(server) == 200
    with operator.open(operator.answers([server])) as deployment:
        assert read_activity(deployment).left_out == ()
        server.write_file(layout.ACTIVITY_SCRIPT, "open('/var/log/nginx/none')\n")
        activity = read_activity(deployment)
    assert "No such file or directory: '/var/log/nginx/none'" in activity.left_out[0].message
    assert activity.covers_since is None

    # One that does not come to an end is left out as well.
    server.write_file(layout.ACTIVITY_SCRIPT, "import time; time.sleep(60)\n")
    began = time.monotonic()
    with operator.open(operator.answers([server])) as deployment:
        assert len(read_activity(deployment, timeout=2).left_out) == 1
    assert time.monotonic() - began < 30
