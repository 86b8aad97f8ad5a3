"""`loupe leak-index`: hashes of what training must not see."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.parameters import Json
from cluster.cli.results import print_result


def leak_index(
    input: Annotated[
        list[str],
        typer.Option(help="shards, a folder of pictures, or another index; may be repeated"),
    ],
    output: Annotated[str, typer.Option(help="file or URI of the index (Parquet)")],
    workers: Annotated[int | None, typer.Option(min=1, help="processes; else one per core")] = None,
    as_json: Json = False,
) -> None:
    """Hash pictures and captions of evaluation sets, for `loupe curate` to find copies by."""
    from pipelines.common.files import filesystem
    from pipelines.common.paths import check_file, local_path

    path = local_path(output)
    if path is None:
        filesystem(output)  # an unknown or uninstalled storage is an InputError
    else:
        check_file("output", path)
    from cluster.console import progress
    from pipelines.leaks.build import build_index

    with progress("hashing") as tick:
        summary = build_index(input, path or output, workers=workers, progress=tick)
    print_result(vars(summary), as_json)
