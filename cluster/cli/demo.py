"""`loupe demo`: the whole chain on the icon world."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.parameters import Folder, Json, Seed, Sets
from cluster.cli.results import print_result


def demo(
    output: Folder = "build/demo",
    pairs: Annotated[int, typer.Option(help="training pairs")] = 10000,
    seed: Seed = 0,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Run the whole chain on the icon world, minutes on two cores; ends with a report to look at."""
    from cluster.demo import run_demo

    print_result(run_demo(output, pairs=pairs, seed=seed, sets=sets or []), as_json)
