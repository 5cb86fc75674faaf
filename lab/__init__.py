"""Real, throwaway Debian servers on one machine, for the demo and the tests.

Each server is a systemd-nspawn container that boots its own systemd, sshd and network, on top of
a cached read-only image. Run `python -m lab --help`, or from Python:

    with Lab() as lab:
        server = lab.boot("web")
        server.run("apt-get install --yes nginx")
"""

from lab.errors import LabError
from lab.lab import Lab
from lab.server import LabServer

__all__ = ["Lab", "LabError", "LabServer"]
