"""`loupe pretrain`, `loupe reshard` and `loupe export`: from curated shards to a model that others open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.parameters import Folder, Json, Run, Sets
from cluster.cli.results import print_result


def pretrain(
    recipe: Annotated[
        str, typer.Argument(help="a shipped recipe's name (loupe recipes list), or a YAML file")
    ],
    data: Annotated[list[str], typer.Option(help="folder or URI of shards; repeat to mix, as URI=WEIGHT")],
    output: Folder,
    local: Annotated[bool, typer.Option(help="one plain process, without Ray and DeepSpeed")] = False,
    profile: Annotated[
        bool, typer.Option(help="trace steps 5 to 10 of this start to OUTPUT/profile/")
    ] = False,
    accept_changed_data: Annotated[
        bool,
        typer.Option(help="go on though shards changed since the run began; OUTPUT/config.json says which"),
    ] = False,
    verify: Annotated[
        bool, typer.Option(help="read all shards first: is each still what its manifest and the run say")
    ] = False,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Pretrain a model; resumes from the newest checkpoint in OUTPUT.

    Kinds of training that a recipe's `task` may name: {training_tasks}. Objectives that it may name: {objectives}.
    `loupe recipes options objectives` explains their options.
    """
    from pipelines.common.ownership import owned

    flags = [
        *(["workers.count=1", "workers.minimum=null"] if local else []),
        *(["schedule.profile=true"] if profile else []),
    ]
    # First of all: a second start is refused before it loads torch and ray.
    with owned(output):
        result = _train(
            recipe,
            data,
            output,
            [*(sets or []), *flags],
            local,
            accept_changed_data=accept_changed_data,
            verify=verify,
        )
    print_result(result, as_json)


def _train(
    recipe: str,
    data: list[str],
    output: str,
    sets: list[str],
    local: bool,
    *,
    accept_changed_data: bool,
    verify: bool,
) -> dict[str, object]:
    """Train in a folder that this process owns; returns what the command prints."""
    from cluster.console import training_lines
    from cluster.recipes import load_recipe
    from cluster.shipped import PRETRAINING
    from pretrain.tasks import config_class
    from pretrain.training.metrics import read_metrics
    from pretrain.training.setup import prepare_run, write_run_config

    config = load_recipe(config_class, PRETRAINING, recipe, sets)
    run = prepare_run(config, data, output, accept_changed_data=accept_changed_data, verify=verify)
    if run.steps_done >= run.total_steps:
        if run.changes:
            write_run_config(run)  # data that was accepted stays accepted
        typer.echo(
            f"training: {output} is finished ({run.total_steps} of {run.total_steps} steps), nothing is left to train; "
            "loupe export makes a model of it; to train longer, give a new output",
            err=True,
        )
        return {"run": output, "steps": run.total_steps, **(read_metrics(Path(run.folder)) or [{}])[-1]}
    if local:
        from pretrain.training.launch_local import run_local as launch
    else:
        from pretrain.training.launch_ray import run_distributed as launch
    with training_lines(run.total_steps, "" if local else "starting workers") as (report, last):
        launch(run, report)
    return {"run": output, "steps": run.total_steps, **last}


def reshard(
    run: Run,
    world_size: Annotated[int, typer.Option(help="number of workers to go on with")],
    as_json: Json = False,
) -> None:
    """Make a run's newest checkpoint loadable on another number of workers (a restarted run does it by itself)."""
    from pipelines.common.ownership import owned

    with owned(run):
        from pretrain.training.reshard import reshard_run

        print_result(vars(reshard_run(run, world_size)), as_json)


def export(
    run: Run,
    output: Folder,
    checkpoint: Annotated[
        str | None, typer.Option(help="name of the checkpoint, such as step-00000100; else the newest")
    ] = None,
    format: Annotated[str, typer.Option(help="{export_formats}")] = "huggingface",
    as_json: Json = False,
) -> None:
    """Turn a run's checkpoint into a folder that other libraries open."""
    from pretrain.export import get_format

    print_result(vars(get_format(format)(run, output, checkpoint=checkpoint)), as_json)
