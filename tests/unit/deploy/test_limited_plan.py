"""Plans of some of the servers, which read the others, too."""

from __future__ import annotations

import threading

from fake_server import FakeServer, FakeServers, WithoutQuestions, no_answer

from moorage.answers.load import loads
from moorage.deploy.deployment import Deployment
from moorage.desired import layout


class Meeting(threading.Event):
    """Lets those who wait go on when there are two."""

    def __init__(self) -> None:
        super().__init__()
        self._barrier = threading.Barrier(2, timeout=20)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the other one.

        Raises:
            threading.BrokenBarrierError: There is none.
        """
        return self._barrier.wait() >= 0


def test_servers_outside_the_limit_are_read_once_and_meanwhile() -> None:
    meeting = Meeting()
    servers = FakeServers()
    for label in ("alpha", "beta"):
        servers[label] = FakeServer(label, slow=meeting, files={layout.REGISTRY_ENV: b""})
    servers["gamma"] = FakeServer("gamma", files={layout.REGISTRY_ENV: b""})
    servers["beta"].fault = no_answer("beta")
    answers = loads(
        "version: 1\nregistry: {domain: registry.example.com}\nssl: {mode: none}\n"
        "servers: [{host: alpha}, {host: beta}, {host: gamma}]\n"
        "credentials: {users: [{name: ci, password: {generate: true}}]}\n"
        "storage: {driver: s3, s3: {bucket: images, region: eu-central-1}}\n"
    )
    deployment = Deployment(
        answers, WithoutQuestions(), limit=("alpha", "gamma"), open_transport=servers.open
    )

    facts = deployment.probe(for_plan=True)
    for _ in range(2):
        plan = deployment.plan_from(facts, reads_images=False)

    assert servers["beta"].connections == 1
    notes = {
        server.server: [each.text for each in server.notes if each.code == "others_unread"]
        for server in plan.servers
    }
    for label, [text] in notes.items():
        assert text.startswith("beta cannot be read.")
        assert f"nor whether {label} has left" in text
