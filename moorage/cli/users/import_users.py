"""``moorage users import``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import click

from moorage.cli.users.access_options import access_option, repositories_option
from moorage.cli.users.change import NewUsers, change, change_options, take_change_options
from moorage.cli.users.open_users import OpenUsers, deployment_arguments, parse_arguments

if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.desired.users import Access, RegistryUser
    from moorage.users.htpasswd_import import ImportResult, OnExisting

_OLDER_PRODUCT = "/etc/nginx/conf.d/cloud66.htpasswd"

_SERVER_FILE = re.compile(r"(?:(?P<host>[^/]+):)?(?P<path>/[^\x00-\x1f]+)")

_EXAMPLES = f"""\b
Examples:
  moorage users import moorage.yml old.htpasswd --access push
  moorage users import moorage.yml --from-server-file
  moorage users import moorage.yml --access pull \\
      --from-server-file web1:/etc/nginx/htpasswd

\b
An older one-click registry has its users in
{_OLDER_PRODUCT}.
They could all push everywhere, and still can without --access.
"""


@click.command("import", epilog=_EXAMPLES)
@deployment_arguments("[HTPASSWD_FILE]")
@click.option(
    "--from-server-file",
    metavar="[[HOST:]PATH]",
    is_flag=False,
    flag_value=_OLDER_PRODUCT,
    help="Read this file from a server, by default that of an older one-click registry. HOST "
    "selects the server if their files differ.",
)
@access_option(None, "Required, except for an older one-click registry (push, as before).")
@repositories_option
@click.option(
    "--on-existing",
    type=click.Choice(["keep", "replace"]),
    default="keep",
    show_default=True,
    help="Whether existing users keep their password or get the one in the file. They always "
    "keep their access.",
)
@change_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Import users from an htpasswd file.

    Imports bcrypt, yescrypt, apr1 and SHA-crypt hashes as they are, so passwords stay the same.
    Reports every other line with its number and the reason. The htpasswd file does not change.
    FILE does not list imported users: they exist on the servers, and an apply keeps them.
    """
    from moorage.cli.errors import WrongUsageError
    from moorage.desired.users import RegistryUser
    from moorage.users import edits
    from moorage.users.htpasswd_import import merge, parse_htpasswd, read_htpasswd

    on_server = _parse_server_file(context, options["from_server_file"])
    names = () if on_server else ("HTPASSWD_FILE",)
    arguments = parse_arguments(context, options, *names)
    chosen = take_change_options(options)
    if options["access"] is None and (on_server is None or on_server[1] != _OLDER_PRODUCT):
        raise click.UsageError(
            "Choose the new users' access: --access push or --access pull.", context
        )
    access = cast("Access", options["access"] or "push")
    rules: tuple[str, ...] = tuple(options["repositories"])
    new = RegistryUser("name", "", access, rules)
    edits.check(new)
    content = None if on_server else read_htpasswd(arguments.words[0])

    def edit(opened: OpenUsers, users: tuple[RegistryUser, ...]) -> NewUsers:
        if options["access"] is None:
            opened.arguments.output.message(
                "The users in this file could push everywhere, and so can the new users; "
                "--access pull prevents it."
            )
        found = (
            content if content is not None else _read_on_server(opened, *(on_server or ("", "")))
        )
        parsed = parse_htpasswd(found)
        merged = merge(users, parsed, access, rules, cast("OnExisting", options["on_existing"]))
        _report(opened.arguments.output, merged, new)
        if not parsed.users:
            raise WrongUsageError(
                "The file contains no valid users.", advice="Expected one NAME:HASH per line."
            )
        details = {**_as_json(merged), "access": access, "repositories": list(rules)}
        return NewUsers(merged.users, details=details)

    return change(arguments, chosen, edit)


def _parse_server_file(context: click.Context, text: str | None) -> tuple[str, str] | None:
    """Return the host (or empty) and the path in ``--from-server-file``."""
    if text is None:
        return None
    found = _SERVER_FILE.fullmatch(text)
    if found is None:
        raise click.UsageError(
            f"Invalid --from-server-file {text!r}: use an absolute path on the server, or "
            "HOST:PATH, and put FILE before the option.",
            context,
        )
    return found["host"] or "", found["path"]


def _read_on_server(opened: OpenUsers, host: str, path: str) -> bytes:
    """Return the content of a file on the host, or on any server that has it."""
    from moorage.cli.errors import WrongUsageError
    from moorage.deploy.remote_file import read_file
    from moorage.users.htpasswd_import import check_size

    labels = [host] if host else [user_list.server for user_list in opened.read.user_lists]
    found = opened.runner.query(lambda: read_file(opened.runner.deployment, path, labels))
    if not found:
        raise WrongUsageError(f"{path} does not exist on {', '.join(labels)}.", code="no_such_file")
    if len(set(found.values())) > 1:
        raise WrongUsageError(
            f"{path} differs between {', '.join(found)}.",
            advice=f"Choose one: --from-server-file {next(iter(found))}:{path}. You can import "
            "another one later.",
            code="servers_differ",
        )
    label, content = next(iter(found.items()))
    check_size(content, f"{path} on {label}")
    opened.arguments.output.message(f"Reading {path} on {label}.")
    return content


def _report(output: Output, merged: ImportResult, new: RegistryUser) -> None:
    """Print what happens to each line of the file; JSON has it in the result."""
    from moorage.users.describe import rights

    if output.as_json:
        return
    for rejected in merged.rejected:
        output.message(("Rejected: ", "yellow"), str(rejected))
    if merged.kept:
        names = ", ".join(merged.kept[:20]) + (", …" if len(merged.kept) > 20 else "")
        output.message(f"Existing users who keep their different password: {names}")
    output.message(
        f"{len(merged.added)} added, {len(merged.replaced)} replaced, {len(merged.kept)} kept, "
        f"{len(merged.rejected)} lines rejected."
    )
    if merged.added:
        output.message(f"Access of added users: {rights(new)}.")


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
