"""The commands of ``moorage``."""

from __future__ import annotations

import click

from moorage import __version__
from moorage.cli.lazy_group import LazyCommand, LazyGroup
from moorage.cli.options import no_color_option, web_options
from moorage.cli.output import Output

_COMMANDS = {
    "validate": LazyCommand(
        "moorage.cli.validate", "Check an answers file, without touching any server."
    ),
    "plan": LazyCommand("moorage.cli.plan", "Show what an apply would change on each server."),
    "apply": LazyCommand("moorage.cli.apply", "Apply the answers to the servers."),
    "rollback": LazyCommand(
        "moorage.cli.rollback", "Go back to the deployment before (undo, revert, restore)."
    ),
    "upgrade": LazyCommand(
        "moorage.cli.upgrade", "Upgrade the registry's program on all servers (update)."
    ),
    "status": LazyCommand("moorage.cli.status", "Show what is deployed, and its state."),
    "logs": LazyCommand("moorage.cli.logs", "Show or follow the logs of the registry and nginx."),
    "activity": LazyCommand(
        "moorage.cli.activity", "Show who pushed and pulled what, and the requests per hour."
    ),
    "history": LazyCommand(
        "moorage.cli.history", "Show who changed what and when, and how it ended."
    ),
    "diff": LazyCommand(
        "moorage.cli.diff", "Show what differs between two deployments: answers and files."
    ),
    "verify": LazyCommand("moorage.cli.verify", "Check the registry from outside, as a client."),
    "users": LazyCommand("moorage.cli.users.group", "Manage the registry's users."),
    "images": LazyCommand(
        "moorage.cli.images.group",
        "Show and delete images, and free their space (garbage collection: gc, clean, prune).",
    ),
    "dns": LazyCommand("moorage.cli.dns", "Plan, apply, undo and check the DNS records."),
    "uninstall": LazyCommand(
        "moorage.cli.uninstall", "Remove the registry from its servers; images can stay."
    ),
    "failover": LazyCommand(
        "moorage.cli.failover",
        "Point the name to the servers that work, here or as a service.",
    ),
    "certificate": LazyCommand(
        "moorage.cli.certificate", "Show the certificate clients see, or replace your own."
    ),
    "clients": LazyCommand(
        "moorage.cli.clients", "Print what to paste on clients: Docker, Podman, Kubernetes, ..."
    ),
    "schema": LazyCommand("moorage.cli.schema", "Print the JSON Schema of the answers file."),
    "wizard": LazyCommand("moorage.cli.wizard", "Open the wizard.", hidden=True),
}

_EPILOG = """\b
Examples:
  moorage                                  the wizard
  moorage moorage.yml                      the wizard on these answers
  moorage --web                            the wizard in a browser, on this machine only
  moorage plan moorage.yml --diff          what would change, line by line
  moorage apply moorage.yml --yes          apply it, in a script
  moorage status --server root@203.0.113.10
  moorage users add moorage.yml ana --access pull
  moorage images list moorage.yml --sort size
  moorage clients moorage.yml docker       what to paste on a machine with Docker

\b
Exit codes: 0 done, 1 failed, 2 wrong usage or answers, 3 the plan has changes
(plan --detailed-exitcode), 4 cannot connect, 5 done on some servers only,
130 interrupted. See docs/command-line.md.
"""


class _Moorage(LazyGroup):
    lazy = _COMMANDS
    file_command = "wizard"


@click.group(
    cls=_Moorage,
    invoke_without_command=True,
    subcommand_metavar="[FILE | COMMAND ...]",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@no_color_option
@web_options
@click.version_option(__version__, prog_name="moorage", message="%(prog)s %(version)s")
@click.pass_context
def moorage(context: click.Context) -> None:
    """Install, secure and run a private Docker registry on your servers, over SSH.

    Without a command, opens the wizard. FILE is an answers file, as saved by the wizard. validate,
    plan, status, logs, activity, history, diff and schema change nothing; verify pushes a test
    image and deletes it again.
    """
    if context.invoked_subcommand is None:
        from moorage.cli.wizard import open_wizard

        context.exit(open_wizard(context.ensure_object(Output), None))
