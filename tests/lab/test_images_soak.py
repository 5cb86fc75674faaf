"""Collections while clients push and pull: nobody notices.

`make soak-images` runs 30 rounds; the tests run two.
"""

from __future__ import annotations

import os
import threading
import time

import pytest
from busy_client import BusyClient
from images_at_work import Images, client_of
from operator_at_work import DOMAIN, Operator

from lab import LabServer
from lab.image import build_small_image
from lab.machine import say
from moorage.images.alive import Limits, find_alive

pytestmark = pytest.mark.ready("python3")

ROUNDS = int(os.environ.get("MOORAGE_SOAK_ROUNDS", "2"))
CLIENTS = 8
YOUNG, GRACE, PAUSE = (3.0, 2.0, 1.0) if ROUNDS == 2 else (15.0, 8.0, 0.0)
"""Seconds. Real clients need longer for a push on a busy machine."""


TOOLS = """
cd /tmp/soak
for number in 1 2 3; do
    docker load -q -i image$number.tar && podman load -q -i image$number.tar
done >/dev/null
failed() { echo "$(date +%T) $1: $(tail -n 2 log | tr '\\n' ' ')"; }
auth=/root/.docker/config.json
skopeo="skopeo copy -q"
pushes=0
while [ ! -e stop ]; do
    for number in 1 2 3; do
        for tool in docker podman skopeo; do
            name=DOMAIN/tools/$tool:latest
            case $tool in
            docker) docker tag soak:$number $name && docker push -q $name ;;
            podman) podman push -q --authfile $auth soak:$number $name ;;
            skopeo) $skopeo --dest-authfile $auth docker-archive:image$number.tar docker://$name ;;
            esac >log 2>&1 || failed "$tool push"
            rm -rf pulled
            $skopeo --src-authfile $auth docker://$name dir:pulled >log 2>&1 || failed "$tool pull"
            pushes=$((pushes + 1))
        done
    done
done
echo "pushes: $pushes"
"""
"""Pushes with real clients, whose layers are needed in turns, so that some were just collected."""


class Tools(threading.Thread):
    """Real clients on a machine of their own.

    Attributes:
        output: A line for each failure, and the number of pushes.
    """

    def __init__(self, operator: Operator, client: LabServer, server: LabServer) -> None:
        super().__init__(daemon=True)
        self.output: list[str] = []
        self._client = client
        operator.trust(client, server)
        operator.log_in(client)
        client.run("rm -rf /tmp/soak && mkdir -p /tmp/soak")
        for number in (1, 2, 3):
            build_small_image(
                client.inside(f"/tmp/soak/image{number}.tar"), f"soak:{number}", size=300_000
            )

    def run(self) -> None:
        script = TOOLS.replace("DOMAIN", DOMAIN)
        self.output = self._client.run(script, check=False, timeout=None).stdout.splitlines()

    def stop(self) -> None:
        self._client.run("touch /tmp/soak/stop")
        self.join()


def test_nobody_notices_a_collection(
    operator: Operator, server: LabServer, request: pytest.FixtureRequest
) -> None:
    answers = operator.answers([server])
    operator.install(answers)
    images = Images(operator, answers)
    pool = [os.urandom(30_000) for _ in range(10)]
    clients = [
        BusyClient(number, [client_of(operator, server)], pool, PAUSE) for number in range(CLIENTS)
    ]
    tools = None
    if ROUNDS > 2:
        tools = Tools(operator, request.getfixturevalue("client"), server)
        tools.start()
    for client in clients:
        client.start()
    time.sleep(2 * YOUNG)
    moved = held = 0
    for _ in range(ROUNDS):
        _, change = images.collect(young=YOUNG, grace=GRACE, looks=(1.0,))
        assert change.is_good, (change, images.log)
        moved += change.numbers.get("blobs", 0)
        held = max(held, change.numbers.get("held_ms", 0))
    for client in clients:
        client.stop()
    failures = [failure for client in clients for failure in client.failures]
    if tools is not None:
        tools.stop()
        say("; ".join(tools.output[-3:]))
        failures += [line for line in tools.output if not line.startswith("pushes: ")]
        assert tools.output[-1].startswith("pushes: "), "they pushed until the end"
    pushes = sum(client.pushes for client in clients)
    say(f"{pushes} pushes and pulls, {moved} blobs collected in {ROUNDS} rounds, held {held} ms")
    say("\n".join(images.log[-12:]))
    assert failures == [], "\n" + "\n".join(failures)
    assert pushes > 20
    assert moved > 0
    assert held < 2000
    for client in clients:
        for (repository, tag), content in client.latest.items():
            assert client.images[0].pull(repository, tag) == content
    # Nothing dead is left when the clients are gone.
    time.sleep(YOUNG)
    _, change = images.collect(young=1.0, grace=0.0)
    assert change.is_good, (change, images.log)
    stored = images.read()
    alive = find_alive(stored.tree, stored.manifests, Limits(time.time(), 0.0, takes_untagged=True))
    assert not alive.dead_blobs(stored.tree)
