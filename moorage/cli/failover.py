"""``moorage failover``: the watch, here or as a service."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import (
    answers_argument,
    common_options,
    server_options,
    session_of,
)
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from moorage.cli.deployment import Engine
    from moorage.cli.session import Session
    from moorage.dns.records import Provider
    from moorage.failover.service import ServiceStatus
    from moorage.failover.watch import News, Task
    from moorage.servers.transport import Transport

_EXAMPLES = """\b
Examples:
  moorage failover moorage.yml                          watch from here, until Ctrl-C
  moorage failover moorage.yml --once                   check, change, end: for cron and CI
  moorage failover install moorage.yml --on root@203.0.113.20
  moorage failover status moorage.yml --on root@203.0.113.20
"""


class _WatchOrCommand(click.Group):
    """Takes a file in place of a command: that is ``watch``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``watch`` before a file or its options."""
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["watch", *args]
        return super().parse_args(ctx, args)


@click.group(
    "failover",
    cls=_WatchOrCommand,
    epilog=_EXAMPLES,
    subcommand_metavar="FILE [--once] | COMMAND FILE ...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Keep the registry's name on the servers that work.

    Each server is asked for /v2/ over TLS, again and again. One that fails several times in a row
    is taken out of the DNS record, one that works again is taken in; the last one always stays.
    Changes the record and nothing else; 'install' puts a service on one machine. Run it in one
    place, best on a machine that is none of the servers. Route 53 does this itself.
    """


_on_option = click.option(
    "--on",
    "on",
    metavar="HOST",
    required=True,
    help="The machine: USER@HOST[:PORT], an alias from ~/.ssh/config, or a server of the answers.",
)


@command.command("watch", hidden=True)
@answers_argument
@click.option(
    "--once",
    is_flag=True,
    help="Check until it is clear which servers work, change the record if needed, and end.",
)
@common_options
@click.pass_context
def watch_command(context: click.Context, *, file: Path, once: bool) -> int:
    """Watch from here until Ctrl-C, or once.

    What is noticed and done goes to stdout, a line each; with --json an object each. With --once
    the exit code is 0 when the record leads to the servers that work.
    """
    session = session_of(context)
    with _open(session, file) as engine:
        task, provider = _prepare(engine)
        stop = threading.Event()
        session.narrate(
            f"Watching {len(task.servers)} servers of {task.name} every "
            f"{task.rules.interval:g} s, {provider.title}"
        )
        is_good = engine.desk.wait_for(
            lambda: _watch(session, task, provider, stop, once=once), stop.set
        )
        if engine.desk.is_interrupted:
            return ExitCode.INTERRUPTED
        return ExitCode.DONE if is_good else ExitCode.FAILED


@command.command("install")
@answers_argument
@_on_option
@server_options
@click.pass_context
def install_command(
    context: click.Context, *, file: Path, on: str, accepted_host_keys: tuple[str, ...]
) -> int:
    """Put the watch on a machine as a systemd service; again for a new version or new answers.

    It runs as an account of its own that nobody logs in as; how the zone is changed is in a file
    that only this account reads. The machine needs systemd and Python 3.11, which is installed on
    Debian when it is missing.
    """
    from moorage.failover.service import install

    session = session_of(context)
    with _open(session, file, accepted_host_keys) as engine:
        task, provider = _prepare(engine)
        transport = _machine(context, engine, on)
        status = engine.look(lambda: install(transport, task, provider, engine.deployment.cancel))
    return _show(session, on, status)


@command.command("uninstall")
@answers_argument
@_on_option
@server_options
@click.pass_context
def uninstall_command(
    context: click.Context, *, file: Path, on: str, accepted_host_keys: tuple[str, ...]
) -> int:
    """Take the service away, its account and its files too; the record stays as it is."""
    from moorage.failover.service import uninstall

    session = session_of(context)
    with _open(session, file, accepted_host_keys) as engine:
        name = engine.deployment.answers.registry.domain
        transport = _machine(context, engine, on)
        engine.look(lambda: uninstall(transport, name, engine.deployment.cancel))
    if session.as_json:
        session.emit({"machine": on, "installed": False})
    else:
        session.data(f"{on}: the failover service of {name} is gone; the record stays as it is")
    return ExitCode.DONE


@command.command("status")
@answers_argument
@_on_option
@server_options
@click.pass_context
def status_command(
    context: click.Context, *, file: Path, on: str, accepted_host_keys: tuple[str, ...]
) -> int:
    """Show how the service is, which servers work, and what the record says. Changes nothing.

    Exits with 0 when it runs and the record leads to the servers that work.
    """
    from moorage.failover.service import status

    session = session_of(context)
    with _open(session, file, accepted_host_keys) as engine:
        name = engine.deployment.answers.registry.domain
        transport = _machine(context, engine, on)
        found = engine.look(lambda: status(transport, name, engine.deployment.cancel))
    return _show(session, on, found)


def _prepare(engine: Engine) -> tuple[Task, Provider]:
    from moorage.failover.task import check_provider, task_of

    deployment = engine.deployment
    provider = deployment.name.open_provider()
    check_provider(deployment.answers, provider)
    authority = engine.look(deployment.authority)
    return task_of(deployment.answers, deployment.all_addresses, authority), provider


def _watch(
    session: Session, task: Task, provider: Provider, stop: threading.Event, *, once: bool
) -> bool:
    from moorage.dns import journal
    from moorage.failover.watch import Watch

    def tell(news: News) -> None:
        if session.as_json:
            session.emit({"event": news.kind, "text": news.text, "at": news.at})
        else:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(news.at))
            session.data((when, "dim"), f"  {news.kind:<9} {news.text}")

    watch = Watch(
        task,
        provider,
        tell,
        lambda changes: journal.remember(task.name, "failover", provider.title, changes),
    )
    if not once:
        watch.run(stop)
        return True
    is_good = watch.once(stop)
    if session.as_json:
        session.emit({"event": "result", **watch.as_json()})
    else:
        for line in _server_lines(watch.as_json()):
            session.data(line)
    return is_good


def _machine(context: click.Context, engine: Engine, on: str) -> Transport:
    from moorage.cli.server_option import server_named

    answers = engine.deployment.answers
    known = next((server for server in answers.servers if server.host == on), None)
    return engine.deployment.connection_to(known or server_named(context, on, None))


def _show(session: Session, machine: str, status: ServiceStatus) -> int:
    known = status.known or {}
    is_good = (
        status.state == "active" and bool(known.get("is_current")) and not known.get("problem")
    )
    if session.as_json:
        session.emit({"machine": machine, "state": status.state, "watch": status.known})
    else:
        session.data((machine, "bold"), f"  the failover service is {status.state}")
        for line in _server_lines(known):
            session.data(line)
    return ExitCode.DONE if is_good else ExitCode.FAILED


def _server_lines(known: dict[str, object]) -> list[str]:
    if not known:
        return ["  it has not made a round yet"]
    servers, record = known.get("servers"), known.get("record")
    listed = ", ".join(map(str, record)) if isinstance(record, list) else ""
    lines = [f"  {known.get('name')} leads to {listed or 'nothing that is known'}"]
    for each in servers if isinstance(servers, list) else ():
        if not isinstance(each, dict):
            continue
        state = "in " if each.get("is_in") else "out"
        fault = f"  {each['fault']}" if each.get("fault") else ""
        lines.append(f"  {state} {each.get('server')} {each.get('address')}{fault}")
    if known.get("problem"):
        lines.append(f"  problem: {known['problem']}")
    return lines


def _open(
    session: Session, file: Path, accepted_host_keys: tuple[str, ...] = ()
) -> AbstractContextManager[Engine]:
    from moorage.cli.answers_file import open_answers
    from moorage.cli.deployment import open_engine

    answers = open_answers(session, file)
    return open_engine(session, answers, accepted_host_keys=accepted_host_keys)
