"""`loupe curate` and `loupe phrases`: from raw shards to curated ones."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.parameters import Json, Output, Sets
from cluster.cli.results import print_json, print_result

if TYPE_CHECKING:
    from pipelines.curate.summary import CurateSummary


def curate(
    recipe: Annotated[
        str, typer.Argument(help="a shipped recipe's name (loupe recipes list), or a YAML file")
    ],
    input: Annotated[str, typer.Option(help="folder or URI of raw shards")],
    output: Output,
    dry_run: Annotated[bool, typer.Option(help="scan and show what would be kept; write nothing")] = False,
    verify: Annotated[
        bool, typer.Option(help="read all shards and committed tars again instead of comparing size and time")
    ] = False,
    drop_withdrawn: Annotated[
        bool, typer.Option(help="remove from the output what it holds of shards that the input has no more")
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            help="bring an output of another recipe to this one: no score is computed again that is there, and only "
            "shards whose kept pairs differ are written"
        ),
    ] = False,
    scores: Annotated[str | None, typer.Option(help="an output whose scores are taken over")] = None,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Filter raw shards into curated ones, with manifests and a report of what was dropped and why.

    Filters that a recipe may name: {filters}.
    """
    from pipelines.common.ownership import owned

    # First of all: a second start is refused before it loads ray.
    with contextlib.nullcontext() if dry_run else owned(output):
        from cluster.console import progress
        from cluster.recipes import load_recipe
        from cluster.shipped import CURATION
        from pipelines.curate.config import CurateConfig
        from pipelines.curate.run import curate as run_curation

        config = load_recipe(CurateConfig, CURATION, recipe, sets)
        with progress("curating") as tick:
            summary = run_curation(
                config,
                input,
                output,
                dry_run=dry_run,
                verify=verify,
                drop_withdrawn=drop_withdrawn,
                update=update,
                scores=scores,
                progress=lambda now: tick(now.done, now.total),
            )
    if as_json:
        print_json(summary.as_json())
    else:
        print_funnel(summary)


def print_funnel(summary: CurateSummary) -> None:
    """Print a line for each filter, then what was kept of what and where the report is."""
    from cluster.console import print_table

    print_table(*summary.funnel_table())
    share = f" ({100 * summary.kept / summary.pairs:.1f}%)" if summary.pairs else ""
    place = "nothing written (dry run)" if summary.report is None else f"report: {summary.report}"
    typer.echo(f"kept {summary.kept:,} of {summary.pairs:,} pairs{share}; {place}")
    for note in summary.notes:
        typer.echo(note)


def phrases(
    input: Annotated[str, typer.Option(help="folder or URI of curated shards")],
    output: Output,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Extract phrases again from curated shards, with another parser or other options, into new shards."""
    from pipelines.common.ownership import owned

    with owned(output):
        from cluster.console import progress
        from pipelines.common.explain import from_assignments
        from pipelines.phrases.config import PhrasesConfig
        from pipelines.phrases.run import phrases_pass

        config = from_assignments(PhrasesConfig, sets)
        with progress("phrases") as tick:
            summary = phrases_pass(input, output, config, progress=tick)
    print_result(vars(summary), as_json)
