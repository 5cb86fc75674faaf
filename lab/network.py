"""The bridge that connects the servers, and each server's cable.

Names are derived from the lab's folder, so that two labs do not collide. A server's network
namespace is created here and survives a power-off, so that a server keeps its address.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.errors import LabError
from lab.process import run_program
from lab.state import LabFolder, write_json

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


@dataclass(frozen=True)
class Network:
    """The bridge of one lab folder."""

    bridge: str
    subnet: str
    """Such as 10.77.0.0/22; the first address is the machine's own."""
    mtu: int
    forwarding_before: str
    """The machine's original ip_forward setting, restored at the end."""

    @property
    def gateway(self) -> str:
        """The machine's address on the bridge."""
        return str(next(ipaddress.ip_network(self.subnet).hosts()))

    @property
    def prefix_length(self) -> int:
        """The subnet's prefix length in bits."""
        return ipaddress.ip_network(self.subnet).prefixlen

    @property
    def subnet6(self) -> str:
        """The IPv6 subnet, a unique local one (RFC 4193); it is not routed beyond the bridge."""
        tag = self.bridge.removeprefix("moor")
        return f"fd4c:{tag[:4]}:{tag[4:]}::/64"

    def address6(self, address: str) -> str:
        """Return the IPv6 address that corresponds to an IPv4 address.

        Args:
            address: An address of the subnet.
        """
        return str(ipaddress.IPv6Network(self.subnet6)[int(ipaddress.IPv4Address(address))])

    @property
    def gateway6(self) -> str:
        """The machine's IPv6 address on the bridge, once :meth:`add_ipv6` was called."""
        return self.address6(self.gateway)

    def add_ipv6(self) -> None:
        """Give the machine its IPv6 address on the bridge."""
        # Without duplicate address detection, the address is usable immediately.
        machine = f"{self.gateway6}/64"
        run_program(["ip", "address", "replace", machine, "dev", self.bridge, "nodad"])

    def next_address(self, taken: Iterable[str], last: str | None) -> str:
        """Choose a free address, preferring one not used recently.

        Args:
            taken: Addresses in use.
            last: The address assigned last.

        Raises:
            LabError: All are in use.
        """
        addresses = [str(host) for host in ipaddress.ip_network(self.subnet).hosts()][9:]
        start = addresses.index(last) + 1 if last in addresses else 0
        used = set(taken)
        for address in addresses[start:] + addresses[:start]:
            if address not in used:
                return address
        raise LabError(f"all addresses of {self.subnet} are in use; run `python -m lab down`")


def current_network(folder: LabFolder) -> Network | None:
    """Return the network, or None if it does not exist.

    Args:
        folder: The lab's folder.
    """
    try:
        network = Network(**json.loads(folder.network.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return network if Path("/sys/class/net", network.bridge).exists() else None


def ensure_network(folder: LabFolder) -> Network:
    """Return the network; create the bridge and its rules if necessary.

    Args:
        folder: The lab's folder; the caller holds its `network` lock.
    """
    network = current_network(folder)
    if network is not None:
        return network
    network = Network(
        bridge=f"moor{folder.tag}",
        subnet=choose_subnet(),
        mtu=_mtu_to_the_world(),
        forwarding_before=FORWARDING.read_text().strip(),
    )
    write_json(folder.network, asdict(network))
    _remove_rules(network)
    # Otherwise the bridge takes another MAC address whenever servers come and go, and open IPv6
    # connections to this machine hang until their servers look for it again.
    mac = ":".join(["02", *(f"{byte:02x}" for byte in secrets.token_bytes(5))])
    run_program(["ip", "link", "add", network.bridge, "address", mac,
                 "type", "bridge", "mcast_snooping", "0"])  # fmt: skip
    address = f"{network.gateway}/{network.prefix_length}"
    run_program(["ip", "address", "add", address, "dev", network.bridge])
    run_program(["ip", "link", "set", network.bridge, "mtu", str(network.mtu), "up"])
    FORWARDING.write_text("1")
    for rule in _rules(network):
        run_program(["iptables", "-w", "-t", rule[0], "-I", *rule[1:]])
    return network


def remove_network(folder: LabFolder) -> None:
    """Remove the bridge and its rules.

    Args:
        folder: The lab's folder; the caller holds its `network` lock.
    """
    network = current_network(folder)
    if network is not None:
        _remove_rules(network)
        run_program(["ip", "link", "delete", network.bridge], check=False)
        if not any(Path("/sys/class/net").glob("moor??????")):
            FORWARDING.write_text(network.forwarding_before)
    folder.network.unlink(missing_ok=True)


def _rules(network: Network) -> list[list[str]]:
    mark = ["-m", "comment", "--comment", network.bridge]
    outside = ["!", "-d", network.subnet]
    return [
        ["nat", "POSTROUTING", "-s", network.subnet, *outside, *mark, "-j", "MASQUERADE"],
        ["filter", "FORWARD", "-i", network.bridge, *mark, "-j", "ACCEPT"],
        ["filter", "FORWARD", "-o", network.bridge, *mark, "-j", "ACCEPT"],
        ["filter", "INPUT", "-i", network.bridge, *mark, "-j", "ACCEPT"],
    ]


def _remove_rules(network: Network) -> None:
    """Delete every rule with the bridge's name, whatever its subnet."""
    for table in ("nat", "filter"):
        listing = run_program(["iptables", "-w", "-t", table, "-S"]).stdout
        for line in listing.splitlines():
            words = line.split()
            if words[0] == "-A" and network.bridge in words:
                run_program(["iptables", "-w", "-t", table, "-D", *words[1:]], check=False)


def choose_subnet() -> str:
    """Choose a subnet that this machine has no route to.

    Raises:
        LabError: Every subnet in 10.0.0.0/8 has a route.
    """
    used = [ipaddress.ip_network(text, strict=False) for text in _known_networks()]
    for second in (*range(77, 256), *range(77)):
        for third in range(0, 256, 4):
            candidate = ipaddress.ip_network(f"10.{second}.{third}.0/22")
            if not any(candidate.overlaps(network) for network in used):
                return str(candidate)
    raise LabError("no free subnet in 10.0.0.0/8")


def _known_networks() -> list[str]:
    routes = json.loads(run_program(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout)
    found = [route["dst"] for route in routes if re.match(r"\d", route.get("dst", ""))]
    found = [text for text in found if not text.startswith("0.0.0.0")]
    for line in Path("/etc/resolv.conf").read_text("utf-8", errors="replace").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver" and ":" not in words[1]:
            found.append(words[1])
    return found


def _mtu_to_the_world() -> int:
    """Return the MTU of the default route's interface; larger packets would be dropped there."""
    routes = json.loads(run_program(["ip", "-json", "-4", "route", "show", "default"]).stdout)
    if not routes:
        return 1500
    return int(Path("/sys/class/net", routes[0]["dev"], "mtu").read_text())


@dataclass(frozen=True)
class Cable:
    """The connection between one server and the bridge."""

    namespace: str
    interface: str
    """The machine's end; the other end is the server's eth0."""
    hardware_address: str
    """Fixed for each server, because its peers cache it across restarts."""

    @classmethod
    def for_server(cls, folder: LabFolder, name: str) -> Cable:
        """Return a server's cable.

        Args:
            folder: The lab's folder.
            name: The server's name.
        """
        digest = hashlib.sha256(f"{folder.path}\0{name}".encode()).hexdigest()
        # Interface names have at most 15 characters.
        hardware_address = ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])
        return cls(f"moor{folder.tag}-{name}", f"lab{digest[:10]}", hardware_address)

    def plug_in(self, network: Network, address: str) -> None:
        """Create the server's network namespace from scratch and connect it.

        Args:
            network: The network to connect it to.
            address: The server's address.
        """
        self.remove()
        inside = ["ip", "-netns", self.namespace]
        run_program(["ip", "netns", "add", self.namespace])
        mtu = ["mtu", str(network.mtu)]
        far_end = ["name", "eth0", "address", self.hardware_address, "netns", self.namespace]
        run_program(
            [
                *("ip", "link", "add", self.interface, *mtu, "type", "veth"),
                *("peer", *far_end, *mtu),
            ]
        )
        run_program(["ip", "link", "set", self.interface, "master", network.bridge, "up"])
        run_program([*inside, "link", "set", "lo", "up"])
        host = f"{address}/{network.prefix_length}"
        run_program([*inside, "address", "add", host, "dev", "eth0"])
        run_program([*inside, "link", "set", "eth0", "up"])
        run_program([*inside, "route", "add", "default", "via", network.gateway])

    def add_ipv6(self, network: Network, address: str, *, alone: bool) -> None:
        """Give a running server an IPv6 address, which is not routed beyond the bridge.

        Args:
            network: The network it is connected to.
            address: The server's IPv4 address.
            alone: Remove the IPv4 address.
        """
        network.add_ipv6()
        host = f"{network.address6(address)}/64"
        inside = ["ip", "-netns", self.namespace]
        run_program([*inside, "address", "replace", host, "dev", "eth0", "nodad"])
        if alone:
            run_program([*inside, "-4", "address", "flush", "dev", "eth0"])

    def cut(self) -> None:
        """Drop all packets while both ends still see the link as up."""
        run_program(["ip", "link", "set", self.interface, "nomaster"])

    def reconnect(self, network: Network) -> None:
        """Reconnect the cable.

        Args:
            network: The network to connect it to.
        """
        run_program(["ip", "link", "set", self.interface, "master", network.bridge])

    def remove(self) -> None:
        """Remove the server's network."""
        run_program(["ip", "link", "delete", self.interface], check=False)
        if Path("/run/netns", self.namespace).exists():
            run_program(["ip", "netns", "delete", self.namespace], check=False)
