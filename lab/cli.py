"""The lab's command line: `python -m lab`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lab import image, keys, machine, rootfs
from lab.apt import SUITES
from lab.errors import LabError
from lab.lab import Lab

DESCRIPTION = """\
Real, throwaway Debian servers on this machine. Each boots its own systemd and sshd and has its own
address; `down` removes every trace of it. Run this as root.
"""

EPILOG = f"""\
getting started:
  python -m lab up 2                    boot two bare Debian 12 servers: server1 and server2
  python -m lab list                    show their addresses and the SSH key to use
  python -m lab sh server1 ip address   run a command inside, without SSH
  python -m lab cut server1             cut its network connection; reconnect restores it
  python -m lab delay server1 100       add an address with 100 ms more latency
  python -m lab crash server1           cut its power; start boots it from the same disk
  python -m lab down                    remove all servers

logins:
  root     with the lab's key
  deploy   with the lab's key; passwordless sudo
  admin    with the lab's key, the lab's encrypted key (passphrase {keys.KEY_PASSPHRASE}),
           or the password {keys.ADMIN_PASSWORD}; sudo asks for the password

Images and servers are kept in MOORAGE_LAB_DIR (default: /var/lib/moorage-lab). The first `up`
builds an image (about a minute); after that, a server boots in a second.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser for all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], help_text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_text, description=help_text)
        added.set_defaults(run=run)
        return added

    setup = command("setup", _setup, "install missing packages and build an image")
    _add_image_options(setup)
    up = command("up", _up, "boot N new servers, which run until `down`")
    up.add_argument("count", type=int, metavar="N", nargs="?", default=1)
    up.add_argument("--prefix", default="server", help="names are PREFIX1, PREFIX2, ...")
    _add_image_options(up)
    down = command("down", _down, "remove the named servers, or all that `up` booted")
    down.add_argument("names", nargs="*", metavar="NAME")
    command("list", _list, "list servers: name, address, release, image, state")
    inside = command("sh", _sh, "open a root shell in a server, or run a command there")
    inside.add_argument("name", metavar="NAME")
    inside.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    for name, run, help_text in (
        ("cut", _cut, "cut a server's network connection: TCP connections hang"),
        ("reconnect", _reconnect, "restore the network connection"),
        ("crash", _crash, "cut a server's power, without a shutdown"),
        ("start", _start, "boot a stopped server from its existing disk"),
        ("reset", _reset, "reset a server to its image"),
    ):
        command(name, run, help_text).add_argument("name", metavar="NAME")
    delay = command("delay", _delay, "start a delaying proxy to a server and print its HOST:PORT")
    delay.add_argument("name", metavar="NAME")
    delay.add_argument("delay", type=float, metavar="MS", nargs="?", help="added per round trip")
    delay.add_argument("--port", type=int, default=22, help="the server's port (22)")
    delay.add_argument("--stop", action="store_true", help="stop the server's proxies")
    _add_image_command(commands)
    clean = command("clean", _clean, "remove unused images; they are rebuilt when needed")
    clean.add_argument("--packages", action="store_true", help="also remove downloaded packages")
    return parser


def _add_image_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", choices=SUITES, default="bookworm", help="Debian 11, 12 or 13")
    parser.add_argument(
        "--variant",
        choices=list(rootfs.VARIANTS),
        default="bare",
        help="bare: only SSH; client: Docker, Podman, skopeo and more (bare)",
    )


def _add_image_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "build a container image archive without a container engine"
    parser = commands.add_parser("image", help=text, description=text)
    build = parser.add_subparsers(dest="action", required=True, metavar="build").add_parser(
        "build", help="write an archive for `docker load`"
    )
    build.add_argument("target", type=Path, metavar="FILE", help="the archive to write")
    build.add_argument("--kind", choices=("registry", "small"), default="registry")
    build.add_argument("--tag", help=f"the image's name ({image.REGISTRY_TAG}; lab/small:1)")
    build.add_argument("--suite", choices=SUITES, default="bookworm")
    build.set_defaults(run=_image_build)


def _setup(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        rootfs.ensure_image(lab.folder, arguments.suite, arguments.variant)
    machine.say("ready")
    return 0


def _up(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        taken = {server.name for server in lab.all_servers()}
        free = (f"{arguments.prefix}{number}" for number in range(1, 10_000))
        names = [name for name in free if name not in taken][: arguments.count]
        rootfs.ensure_image(lab.folder, arguments.suite, arguments.variant)
        servers = lab.boot_many(names, suite=arguments.suite, variant=arguments.variant)
        for server in servers:
            print(f"{server.name}\t{server.address}")
    machine.say(f"log in with: ssh -i {servers[0].key} root@{servers[0].address}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        if arguments.names:
            servers = [lab.find(name) for name in arguments.names]
        else:
            servers = [server for server in lab.all_servers() if server.record.owner is None]
        for server in servers:
            lab.destroy(server)
            machine.say(f"removed {server.name}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        servers = lab.all_servers()
        for server in servers:
            record = server.record
            owner = f"process {record.owner[0]}" if record.owner else "until down"
            state = "on" if server.is_on() else "off"
            columns = [record.name, record.address, record.suite, record.variant, state, owner]
            columns += [
                f"{proxy.delay:g} ms delay at 127.0.0.1:{proxy.port}" for proxy in record.proxies
            ]
            print("\t".join(columns))
        if servers:
            machine.say(f"key: {keys.plain_key(lab.folder)}")
    return 0


def _sh(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        words = lab.find(arguments.name).enter_command(
            " ".join(arguments.words) if arguments.words else ["bash", "--login"]
        )
    os.execvp(words[0], words)


def _cut(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        lab.find(arguments.name).cut()
    return 0


def _reconnect(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        lab.find(arguments.name).reconnect()
    return 0


def _crash(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        lab.find(arguments.name).crash()
    return 0


def _start(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        lab.find(arguments.name).start()
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        lab.find(arguments.name).reset()
    return 0


def _delay(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        server = lab.find(arguments.name)
        if arguments.stop:
            server.stop_proxies()
            return 0
        if arguments.delay is None:
            raise LabError("missing delay: python -m lab delay NAME MS")
        host, port = server.start_proxy(arguments.delay, arguments.port)
        print(f"{host}:{port}")
    return 0


def _image_build(arguments: argparse.Namespace) -> int:
    machine.prepare()
    if arguments.kind == "small":
        image.build_small_image(arguments.target, arguments.tag or "lab/small:1")
    else:
        tag = arguments.tag or image.REGISTRY_TAG
        image.build_registry_image(arguments.target, tag, suite=arguments.suite)
    print(arguments.target)
    return 0


def _clean(arguments: argparse.Namespace) -> int:
    with Lab(stay=True) as lab:
        for path in lab.remove_unused(packages=arguments.packages):
            machine.say(f"removed {path}")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        words: The arguments; those of this process when None.

    Returns:
        The exit status: 0, or 1 with a message on stderr.
    """
    arguments = build_parser().parse_args(words)
    try:
        status: int = arguments.run(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return status
