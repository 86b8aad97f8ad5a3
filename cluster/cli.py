"""The `loupe` command. Every import that costs time stands inside the command that needs it."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Annotated, Any, ClassVar

import typer

from cluster.registry_help import RegistryHelp
from pretrain.export import FORMATS

app = typer.Typer(
    name="loupe",
    help="Curate web image-text pairs and pretrain fine-grained vision-language models on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Recipe = Annotated[str, typer.Argument(help="a shipped recipe's name, or a YAML file")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE in place of the recipe's; may be repeated")
]
Output = Annotated[str, typer.Option(help="folder or URI for the results")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object for machines")]
Seed = Annotated[int, typer.Option(help="the same seed gives the same bytes")]


@app.callback()
def common(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="show tracebacks")] = False,
) -> None:
    """Curate web image-text pairs and pretrain fine-grained vision-language models on Ray."""
    os.environ["LOUPE_VERBOSE"] = "1" if verbose else ""


@app.command()
def world(
    output: Output,
    pairs: Annotated[int, typer.Option(help="training pairs")] = 6000,
    seed: Seed = 0,
    image_size: Annotated[int, typer.Option(help="image side, px")] = 224,
    names: Annotated[int | None, typer.Option(help="kinds of objects; fewer are learned sooner")] = None,
    single_share: Annotated[float, typer.Option(help="share of training scenes with one object")] = 0.2,
    test_pairs: Annotated[int | None, typer.Option(help="test pairs; else 512 or fewer")] = None,
    unseen_pairs: Annotated[int | None, typer.Option(help="pairs of unseen looks; else 512 or fewer")] = None,
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
    _tell(vars(summary), as_json)


@app.command()
def curate(
    recipe: Recipe,
    input: Annotated[str, typer.Option(help="folder or URI of raw shards")],
    output: Output,
    dry_run: Annotated[bool, typer.Option(help="check everything, write nothing")] = False,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Filter raw shards into curated ones, with manifests and a report of what was dropped and why."""
    from cluster.console import progress
    from cluster.recipes import load_recipe
    from cluster.shipped import CURATION
    from pipelines.curate.config import CurateConfig
    from pipelines.curate.run import curate as run_curation

    config = load_recipe(CurateConfig, CURATION, recipe, sets)
    with progress("curating") as tick:
        summary = run_curation(
            config, input, output, dry_run=dry_run, progress=lambda now: tick(now.done, now.total)
        )
    _tell(summary.as_json(), as_json)


@app.command()
def phrases(
    input: Annotated[str, typer.Option(help="folder or URI of curated shards")],
    output: Output,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Find the phrases of curated captions anew, with another parser or other options, into new shards."""
    from cluster.console import progress
    from pipelines.common.explain import from_assignments
    from pipelines.phrases.config import PhrasesConfig
    from pipelines.phrases.run import phrases_pass

    config = from_assignments(PhrasesConfig, sets)
    with progress("phrases") as tick:
        summary = phrases_pass(input, output, config, progress=tick)
    _tell(vars(summary), as_json)


@app.command()
def pretrain(
    recipe: Recipe,
    data: Annotated[list[str], typer.Option(help="folder or URI of shards; repeat to mix, as URI=WEIGHT")],
    output: Output,
    local: Annotated[bool, typer.Option(help="one plain process, without Ray and DeepSpeed")] = False,
    profile: Annotated[
        bool, typer.Option(help="trace steps 5 to 10 of this start to OUTPUT/profile/")
    ] = False,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Pretrain a dual encoder; goes on from the newest checkpoint where OUTPUT holds one."""
    from cluster.console import training_lines
    from cluster.recipes import load_recipe
    from cluster.shipped import PRETRAINING
    from pretrain.config import PretrainConfig
    from pretrain.training.setup import plan_run

    own = [
        *(["workers.count=1", "workers.minimum=null"] if local else []),
        *(["schedule.profile=true"] if profile else []),
    ]
    config = load_recipe(PretrainConfig, PRETRAINING, recipe, [*(sets or []), *own])
    planned = plan_run(config, data, output)
    if local:
        from pretrain.training.launch_local import run_local as run
    else:
        from pretrain.training.launch_ray import run_distributed as run
    with training_lines(planned.total_steps) as (report, last):
        run(planned, report)
    _tell({"run": output, "steps": planned.total_steps, **last}, as_json)


@app.command()
def reshard(
    run: Annotated[str, typer.Argument(help="output folder of loupe pretrain")],
    world_size: Annotated[int, typer.Option(help="number of workers to go on with")],
    as_json: Json = False,
) -> None:
    """Make a run's newest checkpoint loadable on another number of workers (a restarted run does it by itself)."""
    from pretrain.training.reshard import reshard_run

    _tell(vars(reshard_run(run, world_size)), as_json)


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="output folder of loupe pretrain")],
    output: Output,
    checkpoint: Annotated[str | None, typer.Option(help="its name, step-00000100; else the newest")] = None,
    format: Annotated[str, typer.Option(help=" or ".join(FORMATS))] = "huggingface",
    as_json: Json = False,
) -> None:
    """Turn a run's checkpoint into a folder that others open: transformers, open_clip or onnxruntime."""
    from pretrain.export import get_format

    _tell(vars(get_format(format)(run, output, checkpoint=checkpoint)), as_json)


class EvaluateHelp(RegistryHelp):
    """Help of `loupe evaluate` with the names of the tasks."""

    registries: ClassVar = {"task": "pretrain.evaluation.tasks:TASKS"}


@app.command(cls=EvaluateHelp)
def evaluate(
    export: Annotated[str, typer.Argument(help="folder that loupe export wrote")],
    data: Annotated[str, typer.Option(help="folder or URI of shards, raw or curated")],
    output: Output,
    task: Annotated[str, typer.Option(help="what is measured")] = "retrieval",
    gallery: Annotated[int | None, typer.Option(help="only the first N images")] = None,
    batch_size: Annotated[int | None, typer.Option(help="images a forward pass; else the task's own")] = None,
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
    options = from_assignments(options_of(task), [*(sets or []), *assignments])
    with progress("evaluating") as tick:
        metrics = run_evaluation(task, export, data, output, options=options, progress=tick)
    _tell(metrics, as_json)


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="output folder of loupe pretrain")],
    output: Annotated[str | None, typer.Option(help="the HTML file; else RUN/report.html")] = None,
    curation: Annotated[
        list[str] | None, typer.Option(help="output folder of loupe curate; else that of the run's data")
    ] = None,
    evaluation: Annotated[
        list[str] | None, typer.Option(help="output folder of loupe evaluate; may be repeated")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained page about a run: scores, what it finds, how it learned and from what, its recipe."""
    from pretrain.report.run_page import write_report

    page = output or os.path.join(run, "report.html")
    write_report(page, run=run, curation=curation, evaluations=evaluation or [])
    _tell({"report": page, "bytes": os.path.getsize(page), "evaluations": len(evaluation or [])}, as_json)


@app.command()
def ablate(
    plan: Annotated[str, typer.Argument(help="a shipped plan's name, or a YAML file")],
    data: Annotated[str, typer.Option(help="folder or URI of shards to train on")],
    world: Annotated[str, typer.Option(help="output of loupe world, whose splits are evaluated on")],
    output: Output,
    rows: Annotated[str | None, typer.Option(help="names of rows, as a,b; else all")] = None,
    seeds: Annotated[str, typer.Option(help="as 0,1,2")] = "0,1,2",
    jobs: Annotated[int, typer.Option(help="trainings at once, which share the cores")] = 1,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE in place of the plan's, as common.schedule.steps=100"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train and measure every row of a plan with every seed, and compare them; goes on where OUTPUT stands."""
    from cluster.ablation.plan import AblationPlan
    from cluster.ablation.run import run_ablation
    from cluster.ablation.table import as_json as table_as_json
    from cluster.ablation.table import as_markdown
    from cluster.options import integers, words
    from cluster.recipes import load_recipe
    from cluster.shipped import ABLATIONS

    found = run_ablation(
        load_recipe(AblationPlan, ABLATIONS, plan, sets),
        data,
        world,
        output,
        rows=None if rows is None else words(rows),
        seeds=integers("--seeds", seeds),
        jobs=jobs,
    )
    told = table_as_json(found.table) | {"failed": found.failed}
    typer.echo(json.dumps(told) if as_json else as_markdown(found.table))
    found.check()


@app.command()
def demo(
    output: Output = "build/demo",
    pairs: Annotated[int, typer.Option(help="training pairs")] = 10000,
    seed: Seed = 0,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """The whole chain on the icon world, minutes on two cores; ends with a report to look at."""
    from cluster.demo import run_demo

    _tell(run_demo(output, pairs=pairs, seed=seed, sets=sets or []), as_json)


def _tell(values: dict[str, Any], as_json: bool) -> None:
    """The command's result: one JSON object, or a table."""
    if as_json:
        typer.echo(json.dumps(values, default=str))
        return
    from cluster.console import table

    table(values)


def main() -> None:
    """Run the command; 0 done, 2 the user's input is wrong (one line), 1 the run failed."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    try:
        app()
    except Exception as error:
        _fail(error)


def _fail(error: Exception) -> None:
    from data_filters.errors import InputError

    if os.environ.get("LOUPE_VERBOSE"):
        traceback.print_exc()
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, InputError):
            typer.echo(f"loupe: {chain}", err=True)
            sys.exit(2)
        chain = chain.__cause__
    reason = str(error).strip().splitlines()
    typer.echo(
        f"loupe: the run failed: {type(error).__name__}: {reason[-1] if reason else ''} (-v: traceback)",
        err=True,
    )
    sys.exit(1)


if __name__ == "__main__":
    main()
