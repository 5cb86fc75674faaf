"""Packages docker-registry of invented versions, in a repository on the server itself."""

from __future__ import annotations

from typing import Literal

from lab import LabServer

_BUILD = """\
set -e
version=$1 kind=$2 name=${3:-docker-registry} file=${3:-docker-registry}_$1.deb
[ -e /srv/real ] || cp /usr/bin/docker-registry /srv/real
rm -rf /srv/build
mkdir -p /srv/packages /srv/build/DEBIAN /srv/build/usr/bin /srv/build/usr/share/registry
cd /srv/build
if [ "$kind" = blind ]; then
    cp /srv/real usr/share/registry/real
    echo '#!/bin/sh
if grep -qs "^  s3:" "$2"; then export REGISTRY_STORAGE_S3_ROOTDIRECTORY=/elsewhere
else export REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/usr/share/registry; fi
exec /usr/share/registry/real "$@"' >usr/bin/docker-registry
else
    cp /srv/real usr/bin/docker-registry
    [ "$kind" = same ] || printf '%s' "$version" >>usr/bin/docker-registry
fi
chmod 755 usr/bin/docker-registry
[ "$name" = docker-registry ] || rm -r usr
echo "Package: $name
Version: $version
Architecture: amd64
Maintainer: a test <t@example.test>
Description: a registry" >DEBIAN/control
dpkg-deb -Znone -b . "/srv/packages/$file" >/dev/null
cd /srv/packages
{
    cat /srv/build/DEBIAN/control
    echo "Filename: ./$file"
    echo "Size: $(stat -c %s "$file")"
    echo "SHA256: $(sha256sum <"$file" | cut -d' ' -f1)"
    echo
} >>Packages
echo 'deb [trusted=yes] file:/srv/packages ./' >/etc/apt/sources.list.d/invented.list
rm -rf /srv/build
"""


def forget_other_packages(server: LabServer) -> None:
    """Let apt know only the packages offered here: reading Debian's lists takes seconds.

    Args:
        server: The server.
    """
    server.run("rm -r /etc/apt/sources.list.d/* /var/lib/apt/lists/*")


def offer_package(
    server: LabServer, version: str, kind: Literal["good", "same", "blind"] = "good"
) -> None:
    """Let apt know a version of docker-registry.

    Args:
        server: The server.
        version: The version.
        kind: The same program with other bytes, the same bytes, or one that finds no image.
    """
    server.run(["sh", "-c", _BUILD, "sh", version, kind])


def offer_empty_package(server: LabServer, name: str, version: str) -> None:
    """Let apt know a package without files.

    Args:
        server: The server.
        name: The package's name.
        version: The version.
    """
    server.run(["sh", "-c", _BUILD, "sh", version, "good", name])


def digest_of(server: LabServer, version: str) -> str:
    """Return the SHA-256 of the program in a good version."""
    script = '{ cat /srv/real && printf %s "$1"; } | sha256sum'
    return server.run(["sh", "-c", script, "sh", version]).stdout.split()[0]
