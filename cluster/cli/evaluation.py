"""`loupe evaluate`: the scores of an export."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.parameters import Json, Output
from cluster.cli.results import print_result


def evaluate(
    export: Annotated[str, typer.Argument(help="folder that loupe export wrote")],
    data: Annotated[str, typer.Option(help="folder or URI of shards, raw or curated")],
    output: Output,
    task: Annotated[str, typer.Option(help="{evaluation_tasks}")] = "retrieval",
    gallery: Annotated[int | None, typer.Option(help="only the first N images")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="images per forward pass; else the task's own")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the task's own options")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure an export zero-shot; writes OUTPUT/metrics.json."""
    from cluster.console import progress
    from cluster.options import keyword_options
    from pretrain.evaluation.tasks import get_task

    run_task = get_task(task)
    common = {"gallery": gallery, "device": device} | ({"batch_size": batch_size} if batch_size else {})
    options = keyword_options(run_task, sets, {"gallery", "device", "batch_size", "progress"})
    with progress("evaluating") as tick:
        metrics = run_task(export, data, output, **common, **options, progress=tick)
    print_result(metrics, as_json)
