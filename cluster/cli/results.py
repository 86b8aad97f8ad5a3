"""How a command says its result: one JSON object for machines, or a table."""

from __future__ import annotations

import json
from collections.abc import Mapping

import typer


def print_json(values: object) -> None:
    """Print one JSON document; a value that JSON has no form for (a path, say) is printed as its text."""
    typer.echo(json.dumps(values, default=str))


def print_result(values: Mapping[str, object], as_json: bool) -> None:
    """Print a command's result: one JSON object, or rows `name  value`."""
    if as_json:
        print_json(values)
        return
    from cluster.console import table

    table(values)
