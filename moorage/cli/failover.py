"""``moorage failover``: watch the servers and update the record, from here or as a service."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import (
    answers_argument,
    common_options,
    output_of,
    server_options,
)
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from moorage.cli.output import Output
    from moorage.cli.runner import Runner
    from moorage.dns.records import Provider
    from moorage.failover.service import ServiceStatus
    from moorage.failover.watch import News, Task
    from moorage.servers.transport import Transport

_EXAMPLES = """\b
Examples:
  moorage failover moorage.yml                          watch from here, until Ctrl-C
  moorage failover moorage.yml --once                   check and update once: for cron and CI
  moorage failover install moorage.yml --on root@203.0.113.20
  moorage failover status moorage.yml --on root@203.0.113.20
"""


class _WatchOrCommand(click.Group):
    """Runs ``watch`` for a file in place of a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert ``watch`` before a file or its options."""
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
    """Point the registry's name to the servers that work.

    Requests /v2/ from each server over TLS at an interval. Removes a server from the DNS record
    after several failures in a row and adds it again once it works; never removes the last one.
    Changes only the record; 'install' sets up a service on one machine. Run it on one machine,
    ideally not one of the servers. Route 53 does this itself.
    """


_on_option = click.option(
    "--on",
    "on",
    metavar="HOST",
    required=True,
    help="The machine: USER@HOST[:PORT], an alias from ~/.ssh/config, or a server in the answers.",
)


@command.command("watch", hidden=True)
@answers_argument
@click.option(
    "--once",
    is_flag=True,
    help="Check until it is clear which servers work, update the record if needed, and exit.",
)
@common_options
@click.pass_context
def watch_command(context: click.Context, *, file: Path, once: bool) -> int:
    """Watch from here until Ctrl-C, or once.

    Prints one line per event on stdout; with --json, one object. With --once, exits with 0 if the
    record points to the servers that work.
    """
    output = output_of(context)
    with _open(output, file) as runner:
        task, provider = _prepare(runner)
        stop = threading.Event()
        output.message(
            f"Watching {len(task.servers)} servers of {task.name} every "
            f"{task.rules.interval:g} s, {provider.title}"
        )
        is_good = runner.main_thread.wait_for(
            lambda: _watch(output, task, provider, stop, once=once), stop.set
        )
        if runner.main_thread.is_interrupted:
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
    """Install or update the failover service.

    Run it again for a new version or new answers. The systemd service runs under its own system
    account; the credentials for the zone are in a file only that account can read. The machine
    needs systemd and Python 3.11; on Debian, Moorage installs Python if it is missing.
    """
    from moorage.failover.service import install

    output = output_of(context)
    with _open(output, file, accepted_host_keys) as runner:
        task, provider = _prepare(runner)
        transport = _machine(context, runner, on)
        status = runner.query(lambda: install(transport, task, provider, runner.deployment.cancel))
    return _show(output, on, status)


@command.command("uninstall")
@answers_argument
@_on_option
@server_options
@click.pass_context
def uninstall_command(
    context: click.Context, *, file: Path, on: str, accepted_host_keys: tuple[str, ...]
) -> int:
    """Remove the service.

    Also removes its account and files. The record does not change.
    """
    from moorage.failover.service import uninstall

    output = output_of(context)
    with _open(output, file, accepted_host_keys) as runner:
        name = runner.deployment.answers.registry.domain
        transport = _machine(context, runner, on)
        runner.query(lambda: uninstall(transport, name, runner.deployment.cancel))
    if output.as_json:
        output.emit({"machine": on, "installed": False})
    else:
        output.data(f"{on}: removed the failover service of {name}; the record did not change")
    return ExitCode.DONE


@command.command("status")
@answers_argument
@_on_option
@server_options
@click.pass_context
def status_command(
    context: click.Context, *, file: Path, on: str, accepted_host_keys: tuple[str, ...]
) -> int:
    """Show the service, the servers and the record.

    Changes nothing. Exits with 0 if it is running and the record points to the servers that work.
    """
    from moorage.failover.service import status

    output = output_of(context)
    with _open(output, file, accepted_host_keys) as runner:
        name = runner.deployment.answers.registry.domain
        transport = _machine(context, runner, on)
        found = runner.query(lambda: status(transport, name, runner.deployment.cancel))
    return _show(output, on, found)


def _prepare(runner: Runner) -> tuple[Task, Provider]:
    from moorage.failover.task import check_provider, task_of

    deployment = runner.deployment
    provider = deployment.name.open_provider()
    check_provider(deployment.answers, provider)
    authority = runner.query(deployment.authority)
    return task_of(deployment.answers, deployment.all_addresses, authority), provider


def _watch(
    output: Output, task: Task, provider: Provider, stop: threading.Event, *, once: bool
) -> bool:
    from moorage.dns import journal
    from moorage.failover.watch import Watch

    def report(news: News) -> None:
        if output.as_json:
            output.emit({"event": news.kind, "text": news.text, "at": news.at})
        else:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(news.at))
            output.data((when, "dim"), f"  {news.kind:<9} {news.text}")

    watch = Watch(
        task,
        provider,
        report,
        lambda changes: journal.remember(task.name, "failover", provider.title, changes),
    )
    if not once:
        watch.run(stop)
        return True
    is_good = watch.once(stop)
    if output.as_json:
        output.emit({"event": "result", **watch.as_json()})
    else:
        for line in _server_lines(watch.as_json()):
            output.data(line)
    return is_good


def _machine(context: click.Context, runner: Runner, on: str) -> Transport:
    from moorage.cli.server_option import parse_server_option

    answers = runner.deployment.answers
    known = next((server for server in answers.servers if server.host == on), None)
    return runner.deployment.connection_to(known or parse_server_option(context, on, None))


def _show(output: Output, machine: str, status: ServiceStatus) -> int:
    known = status.known or {}
    is_good = (
        status.state == "active" and bool(known.get("is_current")) and not known.get("problem")
    )
    if output.as_json:
        output.emit({"machine": machine, "state": status.state, "watch": status.known})
    else:
        output.data((machine, "bold"), f"  the failover service is {status.state}")
        for line in _server_lines(known):
            output.data(line)
    return ExitCode.DONE if is_good else ExitCode.FAILED


def _server_lines(known: dict[str, object]) -> list[str]:
    if not known:
        return ["  no checks yet"]
    servers, record = known.get("servers"), known.get("record")
    listed = ", ".join(map(str, record)) if isinstance(record, list) else ""
    lines = [f"  {known.get('name')} points to {listed or 'an unknown address'}"]
    for each in servers if isinstance(servers, list) else ():
        if not isinstance(each, dict):
            continue
        state = "in " if each.get("is_in") else "out"
        fault = f"  {each['fault']}" if each.get("fault") else ""
        lines.append(f"  {state} {each.get('server')} {each.get('address')}{fault}")
    taken_out = known.get("taken_out")
    for label in taken_out if isinstance(taken_out, list) else ():
        lines.append(f"  -   {label} taken out of the record by others; no longer monitored")
    if known.get("problem"):
        lines.append(f"  problem: {known['problem']}")
    return lines


def _open(
    output: Output, file: Path, accepted_host_keys: tuple[str, ...] = ()
) -> AbstractContextManager[Runner]:
    from moorage.cli.answers_file import open_answers
    from moorage.cli.runner import open_deployment

    answers = open_answers(output, file)
    return open_deployment(output, answers, accepted_host_keys=accepted_host_keys)
