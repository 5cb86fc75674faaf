"""Servers deployed before slots had Unix sockets and programs of their own."""

from __future__ import annotations

import hashlib
import json
import re

from lab import LabServer
from moorage.answers.model import Registry

CONFIG = "/etc/moorage/registry/blue/config.yml"
UNIT = "/etc/systemd/system/moorage-registry@.service"
UPSTREAM = "/etc/nginx/moorage/upstream.conf"
RECORD = "/etc/moorage/deployment.json"
NEW = ("/etc/moorage/registry/blue/slot.env", "/etc/moorage/registry/slot.sh")

KEPT = """/bin/sh -c 'exec "$$MOORAGE_PROGRAM" serve /etc/moorage/registry/%i/config.yml'"""
SINCE_SOCKETS = (
    "EnvironmentFile=/etc/moorage/registry/%i/program.env",
    "EnvironmentFile=-", "ExecStartPre=+", "ExecStartPost=+", "ReadWritePaths=-",
    "WorkingDirectory=", "    --userns host", "    --volume /run/moorage-registry",
)  # fmt: skip
# The record has only what differs from the defaults.
DEFAULT_IMAGE = Registry.model_fields["image"].default


def listen_on_ports(server: LabServer) -> None:
    """Convert a freshly deployed server (slot blue) to loopback ports."""
    config = server.read_file(CONFIG)
    config = re.sub(r"  net: unix\n  addr: .*\n", "  addr: 127.0.0.1:5101\n", config)
    unit = server.read_file(UNIT)
    image = json.loads(server.read_file(RECORD))["answers"]["registry"].get("image", DEFAULT_IMAGE)
    unit = unit.replace(KEPT, "/usr/bin/docker-registry serve /etc/moorage/registry/%i/config.yml")
    unit = unit.replace('"$$MOORAGE_IMAGE"', image)
    for line in SINCE_SOCKETS:
        unit = re.sub(rf"^{re.escape(line)}.*\n", "", unit, flags=re.M)
    unit = re.sub(r'--network "[^"]*"', "--network host", unit)
    upstream = re.sub(r"server unix:[^;]*", "server 127.0.0.1:5101", server.read_file(UPSTREAM))
    record = json.loads(server.read_file(RECORD))
    for path, text in ((CONFIG, config), (UNIT, unit), (UPSTREAM, upstream)):
        server.write_file(path, text)
        record["digests"][path] = hashlib.sha256(text.encode()).hexdigest()
    for path in NEW:
        del record["digests"][path]
    del record["store"]
    server.write_file(RECORD, json.dumps(record), mode=0o600)
    server.run("rm -r /etc/moorage/registry/*/program.env /usr/local/lib/moorage || true")
    server.run(["rm", *NEW, "/var/lib/moorage/registry/.moorage-store"])
    server.run("systemctl daemon-reload && systemctl restart moorage-registry@blue nginx")
    server.run("until ss -Hltn 'sport = :5101' | grep -q .; do sleep 0.1; done")
