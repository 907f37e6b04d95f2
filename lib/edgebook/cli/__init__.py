"""The command line, one file per group of commands. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys

import typer

from edgebook.cli import about, autotune, beginnings, own_data, runs, shipping, single_files, store
from edgebook.errors import BadInput

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Which lightweight version of this neural network should ship on that edge device?",
)
GROUPS = (runs, shipping, autotune, single_files, beginnings, own_data, store, about)
for command in (command for group in GROUPS for command in group.COMMANDS):
    app.command()(command)


def main() -> None:
    """Run a command; what the user got wrong is one line and exit code 2."""
    try:
        app()
    except BadInput as error:
        print(f"edgebook: {error}", file=sys.stderr)
        sys.exit(2)
