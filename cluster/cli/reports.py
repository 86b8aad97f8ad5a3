"""`loupe report` and `loupe ablate`: pages that show a run, or compare several."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from cluster.cli.parameters import Folder, Json, LocalFile, Run
from cluster.cli.results import print_json, print_result


def report(
    run: Run,
    output: LocalFile = None,
    curation: Annotated[
        list[str] | None, typer.Option(help="output folder of loupe curate; else that of the run's data")
    ] = None,
    evaluation: Annotated[
        list[str] | None, typer.Option(help="output folder of loupe evaluate; may be repeated")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained page about a run: scores, examples, training curves, data, recipe."""
    from pretrain.report.run_page import write_report

    page = output or os.path.join(run, "report.html")
    write_report(page, run=run, curation=curation, evaluations=evaluation or [])
    result = {"report": page, "bytes": os.path.getsize(page), "evaluations": len(evaluation or [])}
    print_result(result, as_json)


def ablate(
    plan: Annotated[
        str, typer.Argument(help="a shipped ablation plan's name (loupe recipes list), or a YAML file")
    ],
    data: Annotated[str, typer.Option(help="folder or URI of shards to train on")],
    world: Annotated[str, typer.Option(help="output of loupe world, whose splits are evaluated on")],
    output: Folder,
    rows: Annotated[str | None, typer.Option(help="names of rows, as a,b; else all")] = None,
    seeds: Annotated[str, typer.Option(help="as 0,1,2")] = "0,1,2",
    jobs: Annotated[int, typer.Option(help="trainings at the same time, which share the cores")] = 1,
    finished: Annotated[
        str | None,
        typer.Option(
            help="file of finished cells, a JSON line each: they are not run again, new ones are added"
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE in place of the plan's, as common.schedule.steps=100"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train and measure every row of an ablation plan with every seed, and compare them; resumes what OUTPUT holds."""
    from cluster.ablation.plan import AblationPlan
    from cluster.ablation.run import run_ablation
    from cluster.ablation.table import as_json as table_as_json
    from cluster.ablation.table import as_markdown
    from cluster.cli.lists import integers, words
    from cluster.recipes import load_recipe
    from cluster.shipped import ABLATIONS

    outcome = run_ablation(
        load_recipe(AblationPlan, ABLATIONS, plan, sets),
        data,
        world,
        output,
        rows=None if rows is None else words(rows),
        seeds=integers("--seeds", seeds),
        jobs=jobs,
        finished=finished,
    )
    if as_json:
        print_json(table_as_json(outcome.table) | {"failed": outcome.failed})
    elif outcome.table.lines:
        typer.echo(as_markdown(outcome.table))
    outcome.check()
