"""``moorage upgrade``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import (
    LOCAL_PATH,
    answers_argument,
    limit_option,
    output_of,
    server_options,
)
from moorage.cli.run_plan import (
    check_options,
    check_registry,
    print_result,
    run_plan,
    update_file,
)
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.deploy.lifecycle.upgrade import Upgrade
    from moorage.deploy.plan.plan import Plan

_EXAMPLES = """\b
Examples:
  moorage upgrade moorage.yml
  moorage upgrade moorage.yml --to-version 2.8.3
  moorage upgrade moorage.yml --image docker.io/library/registry:3.1.1 --yes --json
"""


@click.command("upgrade", epilog=_EXAMPLES)
@answers_argument
@click.option("--image", metavar="IMAGE", help="The new container image.")
@click.option(
    "--image-archive",
    metavar="PATH",
    type=LOCAL_PATH,
    help="An archive on this machine with the image, for servers without internet access.",
)
@click.option(
    "--to-version",
    metavar="VERSION",
    help="The version of the package, or the image's new tag. Default: the newest.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@limit_option
@click.option("--diff", "with_diff", is_flag=True, help="Show each file's diff.")
@check_options
@click.option(
    "--end-transfers",
    is_flag=True,
    help="Cut off transfers on the slot the upgrade needs instead of waiting.",
)
@click.option("--no-save", is_flag=True, help="Do not update FILE.")
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path,
    image: str | None,
    image_archive: str | None,
    to_version: str | None,
    yes: bool,
    limit: tuple[str, ...],
    with_diff: bool,
    no_verify: bool,
    skip_large_upload: bool,
    end_transfers: bool,
    no_save: bool,
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Upgrade the registry's program on all servers (update), without failed requests.

    With the package, fetches apt's package lists on the servers and upgrades docker-registry, and
    no other package. With Docker or Podman, --image names the new image; without it, the image is
    pulled again under its name. Shows the plan and asks first.

    The new version starts in the idle slot of each server and has to read images that are stored
    there before it gets any request. If it fails on one, the servers are rolled back, and the
    registry has never stopped. All servers prepare, then all switch.

    Changes the package or image, the registry's configuration if the new version needs another one,
    and registry.image or registry.version in FILE, where comments are kept. With nothing to
    upgrade, exits with 0. An earlier version is possible, too.

    With --limit, upgrades some of the servers, to try a version on them. The others keep theirs,
    and so does an apply. FILE gets the image of these servers (servers[].image).
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.confirmation import accept, require_confirmation
    from moorage.cli.errors import WrongUsageError
    from moorage.cli.runner import open_deployment
    from moorage.deploy.lifecycle.upgrade import Wish, answers_of_upgrade, upgrades_of
    from moorage.deploy.plan.acceptance import Accepted

    if image is not None and to_version is not None:
        raise WrongUsageError("Choose either --image or --to-version.")
    if to_version is not None and not to_version.strip():
        raise WrongUsageError("--to-version is empty. Name a version, such as 2.8.3.")
    output = output_of(context)
    output.is_stream = output.as_json
    before = open_answers(output, file)
    require_confirmation(output, yes, "Add --yes to upgrade without confirmation.")
    wish = Wish(image, image_archive, to_version)
    answers = answers_of_upgrade(before, wish, limit)
    with open_deployment(
        output, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        operations = runner.operations
        plan = runner.query(lambda: operations.plan_upgrade(wish))
        upgrades = upgrades_of(plan)
        _show(output, upgrades, plan, with_diff=with_diff)
        if not upgrades:
            return ExitCode.DONE
        accepted = accept(
            runner,
            plan,
            Accepted(end_transfers=end_transfers),
            asks=output.is_interactive and not yes,
            all_removals=False,
            all_regained=False,
            question="Upgrade the registry?",
        )
        if accepted is None:
            output.message("Nothing was changed.")
            return ExitCode.FAILED
        operations.accepted = accepted
        outcome = run_plan(runner)
        if not no_save:
            update_file(output, file, before, outcome)
        outcome = check_registry(runner, verifies=not no_verify, large_upload=not skip_large_upload)
        return print_result(runner, plan, outcome, {"upgrades": _upgrades_as_json(upgrades)})


def _show(output: Output, upgrades: tuple[Upgrade, ...], plan: Plan, *, with_diff: bool) -> None:
    from moorage.cli.plan_view import plan_as_json, plan_lines
    from moorage.errors import ServersFailed

    if output.as_json:
        shown = plan_as_json(plan, with_diff=with_diff)
        output.emit({"event": "plan", **shown, "upgrades": _upgrades_as_json(upgrades)})
    elif upgrades:
        for each in upgrades:
            text = f"{each.server}: {each.before} → {each.after}"
            output.message((text, "bold"))
        output.message("")
        for line in plan_lines(plan, with_diff=with_diff):
            output.message(*line)
    if plan.problems:
        raise ServersFailed(plan.problems)
    if not upgrades:
        for server in plan.servers:
            for note in server.notes:
                if note.code == "lists_incomplete":
                    output.message(f"{server.server}: {note.text}")
        changes = "There are other changes to apply; see 'moorage plan FILE'."
        others = f" {changes}" if plan.has_changes else ""
        if output.as_json:
            output.emit({"event": "result", "exit_code": 0, "upgrades": []})
        else:
            output.data(f"Nothing to upgrade.{others}")


def _upgrades_as_json(upgrades: tuple[Upgrade, ...]) -> list[dict[str, str]]:
    return [{"server": each.server, "from": each.before, "to": each.after} for each in upgrades]
