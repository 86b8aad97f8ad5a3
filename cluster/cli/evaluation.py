"""`loupe evaluate`: the scores of an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from cluster.cli.parameters import Folder, Json
from cluster.cli.results import print_result


def evaluate(
    export: Annotated[str, typer.Argument(help="folder that loupe export wrote")],
    data: Annotated[
        str, typer.Option(help="folder or URI of shards, of labelled images, or JSON of COCO or RefCOCO")
    ],
    output: Folder,
    task: Annotated[str, typer.Option(help="{evaluation_tasks}")] = "retrieval",
    gallery: Annotated[int | None, typer.Option(help="only the first N images")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="images per forward pass; else the task's own")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N; else cuda where the machine has it")
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the task's own options")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure an export zero-shot; writes OUTPUT/metrics.json."""
    from cluster.console import progress
    from pipelines.common.explain import from_assignments
    from pretrain.evaluation.runner import options_of, run_evaluation

    given = {"gallery": gallery, "batch_size": batch_size, "device": device}
    assignments = [f"{name}={value}" for name, value in given.items() if value is not None]
    options = from_assignments(
        options_of(task), [*(sets or []), *assignments], f"task {task}", lambda name: _remedy(name, given)
    )
    with progress("evaluating") as tick:
        metrics = run_evaluation(task, export, data, output, options=options, progress=tick)
    print_result(metrics, as_json)


def _remedy(name: str, given: Mapping[str, object]) -> str:
    """How the user changes the option `name`: by the flag that has set it, else by --set."""
    flag = f"--{name.replace('_', '-')}"
    return f"give another {flag}" if given.get(name) is not None else f"give --set {name}=value"
