"""``moorage schema``."""

from __future__ import annotations

import json

import click

from moorage.cli.options import common_options, output_of

_EXAMPLES = """\b
Example:
  moorage schema > moorage.schema.json
"""


@click.command("schema", epilog=_EXAMPLES)
@common_options
@click.pass_context
def command(context: click.Context) -> None:
    """Print the JSON Schema of the answers file, for editors and validators.

    Changes nothing.
    """
    from moorage.answers.schema import json_schema

    output = output_of(context)
    if output.as_json:
        output.emit(json_schema())
    else:
        output.reveal(json.dumps(json_schema(), indent=2, ensure_ascii=False))
