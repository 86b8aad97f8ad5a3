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
    backgrounds: Annotated[
        str | None,
        typer.Option(help="folder of photographs (images, or tars with images) that lie behind the objects"),
    ] = None,
    distractors: Annotated[
        int, typer.Option(help="at most so many further shapes per scene, not of --names, that no text names")
    ] = 0,
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
            backgrounds=backgrounds,
            distractors=distractors,
            progress=tick,
            **({} if names is None else {"names": names}),
        )
    print_result(vars(summary), as_json)
