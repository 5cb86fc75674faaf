"""``moorage users export``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from moorage.cli.options import LOCAL_FILE
from moorage.cli.users.change import from_option
from moorage.cli.users.open_users import deployment_arguments, open_users, parse_arguments
from moorage.errors import ExitCode

_EXAMPLES = """\b
Examples:
  moorage users export moorage.yml --to users.htpasswd
  moorage users export --server root@203.0.113.10 | wc -l
"""


@click.command("export", epilog=_EXAMPLES)
@deployment_arguments()
@click.option(
    "--to",
    "path",
    metavar="FILE",
    type=LOCAL_FILE,
    help="Write to this new file, readable only by you, instead of stdout.",
)
@from_option
@click.pass_context
def command(
    context: click.Context, /, *, path: Path | None, source: str | None, **options: Any
) -> int:
    """Export the users as an htpasswd file, one NAME:HASH per line.

    Leaves out disabled users, whom an htpasswd file would enable. Access is not part of the format;
    'moorage users list --json' shows it. Changes nothing on the servers.
    """
    from moorage.cli.errors import WrongUsageError
    from moorage.desired.users import htpasswd

    arguments = parse_arguments(context, options)
    output = arguments.output
    if output.as_json and path is None:
        raise WrongUsageError(
            "--json and the htpasswd file cannot both go to stdout.", advice="Add --to FILE."
        )
    if path is not None and os.path.lexists(path):
        raise WrongUsageError(
            f"{path} already exists; hashes are only written to a new file.",
            advice="Move it away or choose another name.",
        )
    with open_users(arguments) as opened:
        users = opened.users(source)
    for error in opened.read.unreached:
        output.message(f"{error.server} is unreachable; exporting the users of the other servers.")
    exported = [user for user in users if not user.disabled]
    content = htpasswd(exported)
    if path is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        _write(path, content)
    disabled = sorted(user.name for user in users if user.disabled)
    if output.as_json:
        output.emit(
            {
                "exit_code": int(ExitCode.DONE),
                "file": str(path),
                "users": [user.name for user in exported],
                "left_out": disabled,
            }
        )
    else:
        where = f" to {path}" if path else ""
        count = "1 user" if len(exported) == 1 else f"{len(exported)} users"
        output.message(f"Exported {count}{where}.")
        if disabled:
            output.message(f"Left out (disabled): {', '.join(disabled)}.")
    return ExitCode.DONE


def _write(path: Path, content: bytes) -> None:
    from moorage.cli.errors import WrongUsageError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise WrongUsageError(f"Cannot create {path}: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
