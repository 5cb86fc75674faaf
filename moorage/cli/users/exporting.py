"""``moorage users export``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from moorage.cli.users.change import from_option
from moorage.cli.users.target import open_users, target_from, target_options
from moorage.errors import ExitCode

_EXAMPLES = """\b
Examples:
  moorage users export moorage.yml --to users.htpasswd
  moorage users export --server root@203.0.113.10 | wc -l
"""


@click.command("export", epilog=_EXAMPLES)
@target_options()
@click.option(
    "--to",
    "path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this new file, which only you can read, instead of stdout.",
)
@from_option
@click.pass_context
def command(
    context: click.Context, /, *, path: Path | None, source: str | None, **options: Any
) -> int:
    """Write the users as an htpasswd file: a line NAME:HASH each.

    Disabled users are left out, because an htpasswd file would let them in. What users may do is
    not in such a file; 'moorage users list --json' has it. Changes nothing on the servers.
    """
    from moorage.cli.errors import WrongUsageError
    from moorage.desired.users import htpasswd

    target = target_from(context, options)
    session = target.session
    if session.as_json and path is None:
        raise WrongUsageError(
            "stdout cannot hold both JSON and an htpasswd file.", advice="Add --to FILE."
        )
    if path is not None and os.path.lexists(path):
        raise WrongUsageError(
            f"{path} is there already, and hashes are written to a new file only.",
            advice="Move it away or name another one.",
        )
    with open_users(target) as work:
        users = work.users(source)
    for error in work.read.unreached:
        session.narrate(f"{error.server} could not be reached; the users are those of the others.")
    exported = [user for user in users if not user.disabled]
    content = htpasswd(exported)
    if path is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        _write(path, content)
    disabled = sorted(user.name for user in users if user.disabled)
    if session.as_json:
        session.emit(
            {
                "exit_code": int(ExitCode.DONE),
                "file": str(path),
                "users": [user.name for user in exported],
                "left_out": disabled,
            }
        )
    else:
        where = f" to {path}" if path else ""
        session.narrate(f"{len(exported)} users were written{where}.")
        if disabled:
            session.narrate(f"Left out, because disabled: {', '.join(disabled)}.")
    return ExitCode.DONE


def _write(path: Path, content: bytes) -> None:
    from moorage.cli.errors import WrongUsageError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise WrongUsageError(f"{path} cannot be made: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
