"""Pasted lines of systemd units and Dockerfiles, compared with systemd and Podman."""

from __future__ import annotations

import json

from pasted_samples import fields_of, resolved, samples

from lab import LabServer

UNIT = """
[Service]
Type=oneshot
ExecStart=/usr/bin/env -0
StandardOutput=truncate:/srv/environment
"""


def test_systemd_reads_the_same(client: LabServer) -> None:
    for sample in (path for path in samples() if path.suffix == ".systemd"):
        text = sample.read_text() + UNIT.replace("[Service]\n", "")
        client.write_file("/etc/systemd/system/sample.service", text)
        client.run("systemctl daemon-reload && systemctl start sample")
        output = client.read_file("/srv/environment")

        variables = dict(line.split("=", 1) for line in output.split("\0") if line)
        assert fields_of(variables) == resolved(sample.name), sample.name


def test_podman_reads_dockerfiles_the_same(client: LabServer) -> None:
    for sample in (path for path in samples() if path.suffix == ".dockerfile"):
        client.write_file("/srv/build/Dockerfile", sample.read_text())
        client.run("podman build --quiet --tag sample /srv/build")
        shown = client.run("podman image inspect --format '{{json .Config.Env}}' sample").stdout

        variables = dict(line.split("=", 1) for line in json.loads(shown))
        assert fields_of(variables) == resolved(sample.name), sample.name
