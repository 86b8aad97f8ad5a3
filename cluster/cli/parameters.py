"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from data_filters.errors import InputError


def _check_local(parameter: typer.CallbackParam, folder: str | None) -> str | None:
    """Return the value of an option that names a local path. Raises InputError for a URI."""
    if folder is not None and "://" in folder:
        option = parameter.opts[0]
        raise InputError(
            f"{option} is {folder!r}; allowed are local paths, since this command does not write to URIs; "
            f"set {option} to a local path and copy the results afterwards"
        )
    return folder


Sets = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE in place of the recipe's; may be repeated")
]
Output = Annotated[str, typer.Option(help="folder or URI for the results")]
Folder = Annotated[str, typer.Option(help="local folder for the results", callback=_check_local)]
LocalFile = Annotated[
    str | None, typer.Option(help="local HTML file; else RUN/report.html", callback=_check_local)
]
Run = Annotated[str, typer.Argument(help="output folder of loupe pretrain")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object for machines")]
Seed = Annotated[int, typer.Option(help="random seed")]
