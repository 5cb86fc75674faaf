"""Variables of the registry's process do what they promise: proxies and traces."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from operator_at_work import DOMAIN, Operator
from test_several_servers import s3_storage
from waiting import wait_until

from lab import Lab, LabServer
from lab.image import REGISTRY_3_TAG
from lab.services import ObjectStore

PROXY = "http://127.0.0.1:3128"
UPLOAD = "/v2/team/app/blobs/uploads/"
PROXY_LOG = "/var/log/squid/access.log"


# Not tinyproxy, which garbles the answer to "Expect: 100-continue" of uploads to S3.
@pytest.mark.ready("squid")
def test_storage_is_reached_through_a_proxy_unless_no_proxy_names_it(
    operator: Operator, server: LabServer, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = s3_storage(s3, monkeypatch, rootdirectory="/proxied")
    server.run("systemctl start squid")
    environment = {"HTTP_PROXY": PROXY}
    registry: dict[str, Any] = {"domain": DOMAIN, "environment": environment}

    operator.install(operator.answers([server], registry=registry, storage=storage))

    assert operator.status(server, UPLOAD, method="POST") == 202
    wait_until(lambda: f"PUT {s3.endpoint}/{s3.bucket}/proxied/" in server.read_file(PROXY_LOG))

    address = urlsplit(s3.endpoint).hostname
    registry["environment"] = environment | {"NO_PROXY": f"localhost,{address}"}

    operator.install(operator.answers([server], registry=registry, storage=storage))

    server.run("systemctl kill --signal KILL squid")  # it would wait for 30 seconds
    assert operator.status(server, UPLOAD, method="POST") == 202


@pytest.mark.ready("podman")
def test_traces_reach_the_collector_that_the_environment_names(
    operator: Operator, server: LabServer, lab: Lab, registry_3_image: Path
) -> None:
    with _collector(lab.gateway) as (endpoint, traces):
        registry = {
            "domain": DOMAIN,
            "runtime": "podman",
            "image": REGISTRY_3_TAG,
            "image_archive": str(registry_3_image),
            "environment": {
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_BSP_SCHEDULE_DELAY": "100",
            },
        }
        operator.install(operator.answers([server], registry=registry))
        assert operator.status(server, "/v2/team/traced/tags/list") == 404

        wait_until(lambda: any(b"/v2/team/traced/tags/list" in each for each in traces))


@contextmanager
def _collector(address: str) -> Iterator[tuple[str, list[bytes]]]:
    """Run a collector of traces; yields its endpoint and what it gets (OTLP over HTTP)."""
    traces: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            traces.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer((address, 0), Collector) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://{address}:{listener.server_port}", traces
        listener.shutdown()
