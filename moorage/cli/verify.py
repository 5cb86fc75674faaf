"""``moorage verify``."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import answers_argument, limit_option, output_of, server_options

_EXAMPLES = """\b
Examples:
  moorage verify moorage.yml
  moorage verify moorage.yml --skip-large-upload --json
  moorage verify moorage.yml --require-login
"""


@click.command("verify", epilog=_EXAMPLES)
@answers_argument
@limit_option
@click.option("--skip-large-upload", is_flag=True, help="Skip the check that uploads over 100 MB.")
@click.option(
    "--require-login",
    is_flag=True,
    help="Exit with 1 as well if checks were skipped because no user's password is known.",
)
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path,
    limit: tuple[str, ...],
    skip_large_upload: bool,
    require_login: bool,
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Check the registry from outside, as a client would use it.

    Checks each server at its own address, regardless of DNS: certificate, refusals, login, push,
    pull, delete, and an upload of over 100 MB. Pushes to the repository moorage-verify and deletes
    it again; changes nothing else. The login and later checks need a user whose password the
    answers can resolve, such as {env: CI_PW}. Without one, they are skipped and the verification is
    incomplete.

    Exits with 0 if no check failed, even if some were skipped; see --require-login.
    """
    from moorage.cli import report_view
    from moorage.cli.answers_file import open_answers
    from moorage.cli.runner import open_deployment
    from moorage.errors import ExitCode

    output = output_of(context)
    answers = open_answers(output, file)
    with open_deployment(
        output, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        verification = runner.query(
            lambda: runner.deployment.verify(large_upload=not skip_large_upload)
        )
    if output.as_json:
        output.emit(
            {
                "is_good": verification.is_good,
                **report_view.verification_as_json(verification),
            }
        )
    else:
        for line in report_view.verification_lines(verification):
            output.data(*line)
    if require_login and verification.lacks_login and verification.is_good:
        output.message("The login was not checked, and --require-login was given.")
        return ExitCode.FAILED
    return verification.exit_code
