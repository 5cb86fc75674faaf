"""Push, pull and requests per second: nginx to the registry over a Unix socket or TCP.

Run as root: python -m bench.sockets [ROUNDS] [SECONDS]. It boots its own lab server and client, and
runs a second registry on the server that listens on a loopback port, with the same images. Each
measurement alternates between the two, and so does the order.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.load import LOGIN, requests_per_second, write_login
from bench.unchanged import Bench
from lab import Lab, LabServer

DOMAIN = "registry.bench.test"
USER, PASSWORD = "ci", "a password for benchmarks"
SIZE = 256 * 1024**2
PORTS = {"Unix socket": 443, "TCP": 8443}


def add_tcp(server: LabServer) -> None:
    """Run a second registry on a loopback port, behind a site like Moorage's."""
    config = server.read_file("/etc/moorage/registry/blue/config.yml")
    config, changes = re.subn(r"(?m)^  net: unix\n", "", config)
    config, more = re.subn(r"(?m)^  addr: /run/.*$", "  addr: 127.0.0.1:5999", config)
    assert (changes, more) == (1, 1), config
    server.write_file("/etc/bench-registry.yml", config)
    # Use the same sandbox, which slows down system calls.
    unit = server.read_file("/etc/systemd/system/moorage-registry@.service")
    unit = re.sub(r"(?m)^ExecStart(Pre|Post)=.*\n", "", unit.replace("%i", "blue"))
    unit = unit.replace("/etc/moorage/registry/blue/config.yml", "/etc/bench-registry.yml")
    server.write_file("/etc/systemd/system/bench-registry.service", unit)
    site = server.read_file("/etc/nginx/conf.d/moorage.conf")
    # The same location with its own port and upstream; shared definitions are not repeated.
    location = re.search(r"(?ms)^    location /v2/ \{$.*?^    \}$", site)
    check = re.search(r"(?ms)^    location = /_moorage_auth \{$.*?^    \}$", site)
    assert location is not None, site
    assert check is not None, site
    passed = re.sub(r"error_page [^;]*;|limit_conn[^;]*;", "", location[0])
    passed = passed.replace("http://$moorage_target", "http://bench_tcp")
    server.write_file(
        "/etc/nginx/conf.d/zz-bench.conf",
        "upstream bench_tcp { server 127.0.0.1:5999; keepalive 64; }\n"
        "server {\n"
        f"    listen {PORTS['TCP']} ssl;\n"
        "    ssl_certificate /etc/nginx/moorage/tls/fullchain.pem;\n"
        "    ssl_certificate_key /etc/nginx/moorage/tls/key.pem;\n"
        "    access_log /var/log/nginx/bench.log moorage;\n"
        "    client_max_body_size 0;\n"
        "    client_body_buffer_size 16k;\n"
        f"{passed}\n{check[0]}\n"
        "}\n",
    )
    server.run("systemctl daemon-reload && systemctl start bench-registry && sleep 1")
    server.run("nginx -t -q && systemctl reload nginx && sleep 1")


class Client:
    """curl on its own machine."""

    def __init__(self, machine: LabServer, server: LabServer, authority: bytes) -> None:
        self._machine = machine
        self._server = server
        machine.write_file("/root/ca.pem", authority.decode())
        write_login(machine, USER, PASSWORD)
        machine.run(f"head -c {SIZE} /dev/urandom > /root/blob")
        digest = machine.run("sha256sum /root/blob").stdout.split()[0]
        self._digest = f"sha256:{digest}"

    def _curl(self, port: int, *words: str) -> str:
        return self._machine.run(
            ["curl", "-s", "-f", "--cacert", "/root/ca.pem", "--config", LOGIN,
             "--resolve", f"{DOMAIN}:{port}:{self._server.address}", *words]
        ).stdout  # fmt: skip

    def push(self, port: int) -> float:
        """Push a blob; return MB/s."""
        at = f"https://{DOMAIN}:{port}"
        headers = self._curl(port, "-D", "-", "-o", "/dev/null", "-X", "POST",
                             f"{at}/v2/b/blobs/uploads/")  # fmt: skip
        found = re.search(r"(?im)^location: (?:https?://[^/]*)?(\S+)", headers)
        assert found is not None, headers
        took = self._curl(
            port, "-o", "/dev/null", "-w", "%{time_total}", "-T", "/root/blob",
            "-H", "Content-Type: application/octet-stream",
            f"{at}{found[1]}&digest={self._digest}",
        )  # fmt: skip
        return SIZE / float(took) / 1e6

    def pull(self, port: int) -> float:
        """Pull the blob; return MB/s."""
        at = f"https://{DOMAIN}:{port}/v2/b/blobs/{self._digest}"
        took = self._curl(port, "-o", "/dev/null", "-w", "%{time_total}", at)
        return SIZE / float(took) / 1e6

    def requests(self, port: int, seconds: int) -> float:
        """Return the requests to ``GET /v2/`` per second, 16 at a time."""
        return requests_per_second(self._machine, self._server, DOMAIN, port, seconds)


def main() -> None:
    """Measure in turns and print the medians."""
    rounds, seconds = (int(word) for word in (*sys.argv[1:], *("5", "5")[len(sys.argv) - 1 :]))
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        server = lab.boot("bench")
        machine = lab.boot("bench-client", variant="client")
        bench = Bench(server, Path(folder), PASSWORD)
        bench.moorage((server.address, 22), "--no-verify")
        authority = next(Path(folder).glob("state/ca/*/ca.pem")).read_bytes()
        add_tcp(server)
        client = Client(machine, server, authority)
        measures: dict[str, Callable[[int], float]] = {
            "push, MB/s": client.push,
            "pull, MB/s": client.pull,
            "GET /v2/ per second": lambda port: client.requests(port, seconds),
        }
        found: dict[str, dict[str, list[float]]] = {
            name: {way: [] for way in PORTS} for name in measures
        }
        for turn in range(rounds):
            for name, measure in measures.items():
                # Alternate, so that drift affects both equally.
                for way in sorted(PORTS, reverse=turn % 2 == 1):
                    found[name][way].append(measure(PORTS[way]))
    head = f"median of {rounds} (range)"
    print(f"{head:<22}{''.join(f'{way:>24}' for way in PORTS)}    ratio")
    for name, by_way in found.items():
        medians = [statistics.median(each) for each in by_way.values()]
        cells = [
            f"{median:.0f} ({min(each):.0f}-{max(each):.0f})"
            for median, each in zip(medians, by_way.values(), strict=True)
        ]
        ratio = medians[0] / medians[1]
        print(f"{name:<22}{''.join(f'{cell:>24}' for cell in cells)}{ratio:>9.2f}")


if __name__ == "__main__":
    main()
