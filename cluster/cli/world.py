"""`loupe world`: the rendered demonstration corpus."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.parameters import Json, Output, Seed
from cluster.cli.results import print_result


def world(
    output: Output,
    pairs: Annotated[int, typer.Option(help="training pairs")] = 6000,
    seed: Seed = 0,
    image_size: Annotated[int, typer.Option(help="image side, px")] = 224,
    names: Annotated[int | None, typer.Option(help="kinds of objects; fewer are learned sooner")] = None,
    single_share: Annotated[float, typer.Option(help="share of training scenes with one object")] = 0.2,
    test_pairs: Annotated[int | None, typer.Option(help="test pairs; else 512 or fewer")] = None,
    unseen_pairs: Annotated[
        int | None,
        typer.Option(help="pairs with colour-name combinations that training never shows; else 512 or fewer"),
    ] = None,
    flaws: Annotated[bool, typer.Option(help="plant known flaws; ground_truth.parquet says which")] = False,
    as_json: Json = False,
) -> None:
    """Render the icon world: raw shards with ground-truth boxes."""
    from cluster.console import progress
    from pipelines.icon_world import render_world

    with progress("rendering") as tick:
        summary = render_world(
            output,
            pairs,
            seed,
            image_size=image_size,
            flaws=flaws,
            test_pairs=test_pairs,
            unseen_pairs=unseen_pairs,
            single_share=single_share,
            progress=tick,
            **({} if names is None else {"names": names}),
        )
    print_result(vars(summary), as_json)
