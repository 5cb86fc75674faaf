"""``moorage verify``."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import answers_argument, limit_option, server_options, session_of

_EXAMPLES = """\b
Examples:
  moorage verify moorage.yml
  moorage verify moorage.yml --skip-large-upload --json
"""


@click.command("verify", epilog=_EXAMPLES)
@answers_argument
@limit_option
@click.option(
    "--skip-large-upload", is_flag=True, help="Leave out the check that sends over 100 MB."
)
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path,
    limit: tuple[str, ...],
    skip_large_upload: bool,
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Check the registry from outside, the way a client uses it.

    Each server is checked by itself at its own address, whatever DNS says: certificate, refusals,
    log-in, push, pull, delete, and an upload of over 100 MB. Pushes to the repository
    moorage-verify and deletes that again; changes nothing else. Log-in and what follows needs a
    user whose password the answers lead to, such as {env: CI_PW}.
    """
    from moorage.cli import report_view
    from moorage.cli.answers_file import open_answers
    from moorage.cli.deployment import open_engine

    session = session_of(context)
    answers = open_answers(session, file)
    with open_engine(
        session, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as engine:
        verification = engine.look(
            lambda: engine.deployment.verify(large_upload=not skip_large_upload)
        )
    if session.as_json:
        session.emit(
            {
                "is_good": verification.is_good,
                "checks": report_view.verification_as_json(verification),
            }
        )
    else:
        for line in report_view.verification_lines(verification):
            session.data(*line)
    return verification.exit_code
