"""``moorage users import``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from moorage.cli.users.access_options import access_option, repositories_option
from moorage.cli.users.change import Wanted, change, change_options, how_to_change
from moorage.cli.users.target import UsersAtWork, target_from, target_options

if TYPE_CHECKING:
    from moorage.cli.session import Session
    from moorage.desired.users import Access, RegistryUser
    from moorage.users.htpasswd_import import ImportResult, OnExisting

_OLDER_PRODUCT = "/etc/nginx/conf.d/cloud66.htpasswd"

_PLACE = re.compile(r"(?:(?P<host>[^/]+):)?(?P<path>/[^\x00-\x1f]+)")

_EXAMPLES = f"""\b
Examples:
  moorage users import moorage.yml old.htpasswd --access push
  moorage users import moorage.yml --from-server-file
  moorage users import moorage.yml --access pull \\
      --from-server-file web1:/etc/nginx/htpasswd

\b
An older one-click registry keeps its users in
{_OLDER_PRODUCT}.
They all could push everywhere, and go on doing so without --access.
"""


@click.command("import", epilog=_EXAMPLES)
@target_options("[HTPASSWD_FILE]")
@click.option(
    "--from-server-file",
    metavar="[[HOST:]PATH]",
    is_flag=False,
    flag_value=_OLDER_PRODUCT,
    help="Read this file on a server of the deployment, by default that of an older one-click "
    "registry. HOST says on which, where several have different ones.",
)
@access_option(None, "Needed, but for the file of an older one-click registry: push, as there.")
@repositories_option
@click.option(
    "--on-existing",
    type=click.Choice(["keep", "replace"]),
    default="keep",
    show_default=True,
    help="Whether users who are there already keep their password or get the file's. They keep "
    "their access in any case.",
)
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Adopt the users of an htpasswd file.

    bcrypt, apr1 and SHA-crypt hashes are taken as they are, so everybody keeps their password.
    Every other line is reported with its number and the reason; the file itself stays as it is.
    FILE does not list imported users: they live on the servers, and an apply keeps them.
    """
    from moorage.cli.errors import WrongUsageError
    from moorage.desired.users import RegistryUser
    from moorage.users import edits
    from moorage.users.htpasswd_import import merge, parse_htpasswd

    on_server = _place(context, options["from_server_file"])
    names = () if on_server else ("HTPASSWD_FILE",)
    target = target_from(context, options, *names)
    how = how_to_change(options)
    if options["access"] is None and (on_server is None or on_server[1] != _OLDER_PRODUCT):
        raise click.UsageError(
            "What the new users may do is needed: --access push or --access pull.", context
        )
    access = cast("Access", options["access"] or "push")
    rules: tuple[str, ...] = tuple(options["repositories"])
    new = RegistryUser("name", "", access, rules)
    edits.check(new)
    content = None if on_server else _read(Path(target.words[0]))

    def decide(work: UsersAtWork, users: tuple[RegistryUser, ...]) -> Wanted:
        if options["access"] is None:
            work.target.session.narrate(
                "Everybody in this file could push everywhere, and new users may go on doing so; "
                "--access pull takes that away."
            )
        found = content if content is not None else _read_on_server(work, *(on_server or ("", "")))
        parsed = parse_htpasswd(found)
        merged = merge(users, parsed, access, rules, cast("OnExisting", options["on_existing"]))
        _report(work.target.session, merged, new)
        if not parsed.users:
            raise WrongUsageError(
                "No line of the file gives a user.", advice="Wanted: NAME:HASH in each line."
            )
        details = {**_as_json(merged), "access": access, "repositories": list(rules)}
        return Wanted(merged.users, details=details)

    return change(target, how, decide)


def _read(path: Path) -> bytes:
    from moorage.cli.errors import WrongUsageError
    from moorage.users.htpasswd_import import LARGEST_FILE, check_size

    try:
        with path.expanduser().open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        raise WrongUsageError(f"{path} cannot be read: {why}.", code="cannot_read") from error
    check_size(content, str(path))
    return content


def _place(context: click.Context, text: str | None) -> tuple[str, str] | None:
    """Return the host (or empty) and the path that ``--from-server-file`` names."""
    if text is None:
        return None
    found = _PLACE.fullmatch(text)
    if found is None:
        raise click.UsageError(
            f"--from-server-file {text!r}: wanted: an absolute path on the server, or HOST:PATH. "
            "FILE stands before the option.",
            context,
        )
    return found["host"] or "", found["path"]


def _read_on_server(work: UsersAtWork, host: str, path: str) -> bytes:
    """Return a file's content on a server; without a host, on whichever server has it."""
    from moorage.cli.errors import WrongUsageError
    from moorage.deploy.remote_file import read_file
    from moorage.users.htpasswd_import import check_size

    labels = [host] if host else [user_list.server for user_list in work.read.user_lists]
    found = work.engine.look(lambda: read_file(work.engine.deployment, path, labels))
    if not found:
        raise WrongUsageError(f"There is no {path} on {', '.join(labels)}.", code="no_such_file")
    if len(set(found.values())) > 1:
        raise WrongUsageError(
            f"{path} is not the same on {', '.join(found)}.",
            advice=f"Say whose counts: --from-server-file {next(iter(found))}:{path}. Another "
            "import can follow.",
            code="servers_differ",
        )
    label, content = next(iter(found.items()))
    check_size(content, f"{path} on {label}")
    work.target.session.narrate(f"Reading {path} on {label}.")
    return content


def _report(session: Session, merged: ImportResult, new: RegistryUser) -> None:
    """Narrate what happens to the lines of the file; with JSON it is in the result."""
    from moorage.users.describe import rights

    if session.as_json:
        return
    for rejected in merged.rejected:
        session.narrate(("Not taken: ", "yellow"), str(rejected))
    if merged.kept:
        names = ", ".join(merged.kept[:20]) + (", …" if len(merged.kept) > 20 else "")
        session.narrate(f"Here already, with another password, which they keep: {names}")
    session.narrate(
        f"{len(merged.added)} added, {len(merged.replaced)} replaced, {len(merged.kept)} kept, "
        f"{len(merged.rejected)} lines not taken."
    )
    if merged.added:
        session.narrate(f"Added users get: {rights(new)}.")


def _as_json(merged: ImportResult) -> dict[str, object]:
    return {
        "added": list(merged.added),
        "replaced": list(merged.replaced),
        "kept": list(merged.kept),
        "rejected": [
            {"line": each.line, "name": each.name or None, "reason": each.reason}
            for each in merged.rejected
        ],
    }
