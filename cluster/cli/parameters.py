"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

_SPELLINGS = ("~", "file:", "local:")
"""How a local path begins that the operating system does not understand as it is."""

# pipelines.common.paths is imported inside: it imports fsspec, which `loupe --help` does without.


def _check_folder(parameter: typer.CallbackParam, folder: str) -> str:
    """Return the path of an option for a local folder. Raises InputError for a URI, or where nothing can be written."""
    from pipelines.common.paths import check_folder, require_local

    path = require_local(parameter.opts[0], folder)
    check_folder("output", path)
    return path if folder.startswith(_SPELLINGS) else folder


def _check_file(parameter: typer.CallbackParam, file: str | None) -> str | None:
    """Return the path of an option for a local file. Raises InputError for a URI, or where nothing can be written."""
    from pipelines.common.paths import check_file, require_local

    if file is None:
        return None
    path = require_local(parameter.opts[0], file)
    check_file("output", path)
    return path if file.startswith(_SPELLINGS) else file


def _check_output(folder: str) -> str:
    """Return the folder or URI of an option. Raises InputError where nothing can be written at a local path."""
    from pipelines.common.paths import check_folder, local_path

    path = local_path(folder)
    if path is None:
        from pipelines.common.files import filesystem

        filesystem(folder)  # an unknown or uninstalled storage is an InputError
    else:
        check_folder("output", path)
    return folder


Sets = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE in place of the recipe's; may be repeated")
]
Output = Annotated[str, typer.Option(help="folder or URI for the results", callback=_check_output)]
Folder = Annotated[str, typer.Option(help="local folder for the results", callback=_check_folder)]
LocalFile = Annotated[
    str | None, typer.Option(help="local HTML file; else RUN/report.html", callback=_check_file)
]
Run = Annotated[str, typer.Argument(help="output folder of loupe pretrain")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object for machines")]
Seed = Annotated[int, typer.Option(help="random seed")]
