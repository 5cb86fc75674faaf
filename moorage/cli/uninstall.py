"""``moorage uninstall``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from moorage.cli.file_or_servers import file_or_servers_options, open_to_read
from moorage.cli.options import output_of, server_options
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.cli.plan_view import Line
    from moorage.cli.runner import Runner
    from moorage.deploy.lifecycle.uninstall import ServerUninstall, UninstallPlan, UninstallReport
    from moorage.rows import Row

_EXAMPLES = """\b
Examples:
  moorage uninstall moorage.yml
  moorage uninstall moorage.yml --images --packages
  moorage uninstall --server root@203.0.113.10 --yes --json
"""
_CANCELLING = (
    "Cancelling: servers that have begun to remove the registry finish. "
    "Press Ctrl-C again to exit without waiting."
)


@click.command("uninstall", epilog=_EXAMPLES)
@file_or_servers_options
@click.option("--images", is_flag=True, help="Delete the images, too. They cannot be brought back.")
@click.option(
    "--packages", is_flag=True,
    help="Remove the packages that Moorage installed, with their settings, unless something else "
    "uses them.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@server_options
@click.pass_context
def command(
    context: click.Context, /, *, images: bool, packages: bool, yes: bool, **options: Any
) -> int:
    """Remove the registry from its servers (delete, purge, decommission).

    Stops the registry, removes Moorage's files, units, users and programs, and gives each server
    back as it was before: services get their previous state, other sites of nginx stay. The plan
    names everything that goes, and asks first.

    Images and packages stay unless --images and --packages are given. A later apply serves the
    images again. DNS records stay as they are.

    Files that were changed since Moorage wrote them are copied to /var/backups first. An
    interrupted uninstall is completed by the next one. FILE stays, without the deployment's
    revision (based_on).

    Exits with 5 if the registry was removed from some servers only.
    """
    from moorage.cli.confirmation import record_base, require_confirmation
    from moorage.cli.errors import as_json
    from moorage.deploy.lifecycle.uninstall import Wish, plan_uninstall, uninstall
    from moorage.errors import ServersFailed

    output = output_of(context)
    output.is_stream = output.as_json
    require_confirmation(output, yes, "Add --yes to uninstall without confirmation.")
    with open_to_read(context, options) as runner:
        wish = Wish(images, packages)
        plan = runner.query(lambda: plan_uninstall(runner.deployment, wish))
        if output.as_json:
            output.emit({
                "event": "plan", "domain": plan.domain or None, "images": images,
                "packages": packages, "servers": list(map(_server_as_json, plan.servers)),
                "nothing_on": list(plan.empty), "unread": list(map(as_json, plan.unreached)),
            })  # fmt: skip
        elif plan.has_changes or plan.unreached:
            for line in _lines(plan):
                output.message(*line)
        if plan.problems:
            raise ServersFailed(plan.problems)
        whole = options["file"] if not options["limit"] else None
        if not plan.has_changes:
            code = _nothing(output, plan)
            if code == ExitCode.DONE and whole is not None:
                record_base(output, whole, runner.deployment.answers, None)
            return code
        if not yes and not _confirm(runner, plan):
            output.message("Nothing was changed.")
            return ExitCode.FAILED

        def cancel() -> None:
            runner.message(_CANCELLING)
            runner.deployment.abort()

        report = runner.run(lambda: uninstall(runner.deployment, plan), cancel)
        code = report.exit_code
        if code == ExitCode.DONE and whole is not None:
            record_base(output, whole, runner.deployment.answers, None)
        if runner.main_thread.is_interrupted and code != ExitCode.DONE:
            code = ExitCode.INTERRUPTED
        return _report(output, plan, report, code)


def _nothing(output: Output, plan: UninstallPlan) -> int:
    from moorage.deploy.lifecycle.uninstall import NOTHING

    code = plan.unreached[0].exit_code if plan.unreached else ExitCode.DONE
    if output.as_json:
        output.emit({"event": "result", "exit_code": int(code), "servers": []})
    else:
        output.data(NOTHING)
    return code


def _confirm(runner: Runner, plan: UninstallPlan) -> bool:
    where = ", ".join(each.server for each in plan.servers)
    if plan.wish.images and plan.domain:
        return runner.asker.confirm_by_name(
            f"Remove the registry and all its images from {where}?", plan.domain
        )
    return runner.asker.confirm(f"Remove the registry from {where}?")


def _lines(plan: UninstallPlan) -> Iterator[Line]:
    from moorage.cli.errors import explain
    from moorage.cli.tables import aligned
    from moorage.deploy.lifecycle.uninstall import LEGEND
    from moorage.escape import one_line
    from moorage.rows import Level

    styles = {Level.BAD: "red", Level.WARNING: "yellow"}

    def cells(sign: str, row: Row) -> tuple[tuple[str, str], str, tuple[str, str]]:
        return ((f"  {sign}", "red" if sign == "-" else ""), row.label,
                (one_line(row.text), styles.get(row.level, "")))  # fmt: skip

    for server in plan.servers:
        yield ((server.server, "bold"),)
        yield from aligned([cells(sign, row) for sign, row in server.rows])
    for name in plan.empty:
        yield ((name, "bold"), "  nothing to remove")
    for error in plan.unreached:
        yield (("! ", "yellow"), (error.server or "", "bold"), f"  {explain(error)}")
    if plan.servers:
        yield ("",)
        yield (LEGEND,)


def _server_as_json(server: ServerUninstall) -> dict[str, object]:
    def rows(found: tuple[Row, ...]) -> list[dict[str, object]]:
        return [{"key": row.key, "text": row.text} for row in found]

    return {
        "server": server.server, "removes": rows(server.removes), "stays": rows(server.stays),
    }  # fmt: skip


def _report(output: Output, plan: UninstallPlan, report: UninstallReport, code: ExitCode) -> int:
    from moorage.cli.errors import as_json
    from moorage.cli.report_view import report_as_json, report_lines
    from moorage.deploy.lifecycle.uninstall import ADVICE
    from moorage.deploy.run.report import ApplyReport

    servers = ApplyReport(report.servers, {})
    if output.as_json:
        output.emit({
            "event": "result", "exit_code": int(code),
            "servers": report_as_json(servers, ADVICE),
            "unread": list(map(as_json, report.unreached)),
            "remembered": list(report.remembered),
        })  # fmt: skip
        return code
    for line in report_lines(servers, ADVICE):
        output.data(*line)
    if report.summary:
        output.data((report.summary, "bold" if code == ExitCode.DONE else ""))
    if report.advice:
        output.data(report.advice)
    return code
