"""The lines that say what is on a server, to compare it before and after."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab import LabServer

_LISTING = """
systemctl is-system-running --wait >/dev/null
find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/tmp \\
    -o -path /var/log/journal -o -path /run -o -path /root \\) -prune \\
    -o -printf 'path %p %u:%g %m %y\\n'
find /run -maxdepth 1 -printf 'path %p\\n'
dpkg-query -W -f 'package ${Package} ${Version} ${db:Status-Status}\\n'
systemctl list-unit-files --no-legend --no-pager | awk '{ print "unit", $1, $2 }'
systemctl list-units --all --type=service,timer,socket --no-legend --no-pager --plain |
    awk '$3 == "active" { print "active", $1 }'
systemctl --failed --no-legend --no-pager --plain | awk '{ print "failed", $1 }'
find /var/lib/systemd/timers -name 'stamp-*' -printf '%f\\n' 2>/dev/null
getent passwd | sed 's/^/account /'
getent group | sed 's/^/group /'
ss -Hltn | awk '{ print "port", $4 }'
ip -o link | awk '{ sub("@.*", "", $2); print "link", $2 }'
sysctl -n net.ipv4.ip_forward | sed 's/^/forwards /'
if systemctl is-active -q docker; then engines=docker; else engines=; fi
if command -v podman >/dev/null; then engines="$engines podman"; fi
for engine in $engines; do
    $engine images -a --no-trunc --format "image $engine {{.Repository}}:{{.Tag}} {{.ID}}"
    $engine ps -a --format "container $engine {{.Names}} {{.Image}}"
    $engine network ls --format "network $engine {{.Name}}"
    $engine volume ls --format "volume $engine {{.Name}}"
done
"""

BY_SYSTEM = (
    r"path /var/cache/(apt|man|ldconfig|debconf)(/.*)? ",
    r"path /var/lib/(apt|dpkg|systemd|ucf|pam|logrotate)(/.*)? ",
    r"path /var/log(/.*)? ",
    r"path /var/lib/private ",
    r"path /run/.*",
    r"path /etc/(ld\.so\.cache|passwd-|group-|shadow-|gshadow-|subuid-?|subgid-?|\.pwd\.lock) ",
    r"active (apt-daily|dpkg-db|e2scrub|fstrim|man-db|logrotate|systemd|user|session|run-u).*",
    r"stamp-(apt-daily|dpkg-db|e2scrub|fstrim|man-db|logrotate).*",
    # A userdel that is killed leaves a file named after its PID.
    r"path /etc/(passwd|group|shadow|gshadow)(\.\d+)? ",
)
"""What any installation of a package, and time, change."""
BY_PACKAGES = (
    *BY_SYSTEM,
    r"path /(etc|usr|var)/.*",
    r"package .*",
    r"unit (?!moorage).*",
    r"active (?!moorage|nginx|docker).*",
    r"stamp-(?!moorage).*",
    r"(account|group) (docker-registry|docker)\b.*",
)
"""What packages that stay have installed: their files, units and accounts."""
LEFT_BY_DEBIAN = (
    r"(account|group) docker-registry:.*",
    r"group docker:.*",
    r"link docker0:",
    r"path /var/lib/letsencrypt ",
    r"path /var/www(/html(/index\.nginx-debian\.html)?)? .*",
)
"""What Debian's packages leave when they are purged; Docker's link until the next boot."""


def listing(server: LabServer) -> set[str]:
    """Return files, packages, units, accounts, ports, links, and what container engines have."""
    return set(server.run(_LISTING).stdout.splitlines())


def check_same(before: set[str], after: set[str], explained: Sequence[str]) -> None:
    """Check that every difference between two listings is explained by a pattern."""
    found = [f"+ {each}" for each in after - before] + [f"- {each}" for each in before - after]
    left = sorted(each for each in found if not any(re.match(e, each[2:]) for e in explained))
    assert not left, "\n".join(left)


def of_moorage(lines: set[str]) -> list[str]:
    """Return the lines of a listing that name Moorage."""
    return sorted(each for each in lines if "moorage" in each)
