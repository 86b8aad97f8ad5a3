"""`loupe curate` and `loupe phrases`: from raw shards to curated ones."""

from __future__ import annotations

import contextlib
import difflib
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.parameters import Json, Output, Sets
from cluster.cli.results import print_json, print_result

if TYPE_CHECKING:
    from pipelines.curate.config import CurateConfig
    from pipelines.curate.estimate import Estimate
    from pipelines.curate.plan_words import PlanWords
    from pipelines.curate.summary import CurateSummary

PILOT = 20  # pipelines.curate.pilot.PILOT, which is not imported for a help text


def curate(
    recipe: Annotated[
        str, typer.Argument(help="a shipped recipe's name (loupe recipes list), or a YAML file")
    ],
    output: Output,
    input: Annotated[
        str | None, typer.Option(help="folder or URI of raw shards; not needed with --replay")
    ] = None,
    sets: Sets = None,
    update: Annotated[
        bool,
        typer.Option(
            help="bring an output of another recipe to this one: no score is computed again that is there, and only "
            "shards whose kept pairs differ are written"
        ),
    ] = False,
    scores: Annotated[str | None, typer.Option(help="an output whose scores are taken over")] = None,
    verify: Annotated[
        bool, typer.Option(help="read all shards and committed tars again instead of comparing size and time")
    ] = False,
    drop_withdrawn: Annotated[
        bool, typer.Option(help="remove from the output what it holds of shards that the input has no more")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            help="show the plan and what would be kept, with bytes and core-seconds; write nothing. Of many shards a "
            "sample is scanned"
        ),
    ] = False,
    pilot: Annotated[int, typer.Option(min=2, help="shards that a dry run scans at most")] = PILOT,
    replay: Annotated[
        list[str] | None,
        typer.Option(
            help="KEY=VALUE in place of the recipe's: show what would be kept then, from the scores in the output "
            "alone; no shard is read, nothing is written; may be repeated"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Filter raw shards into curated ones, with manifests and a report of what was dropped and why.

    Kinds of rules under `rules`: {rules}. Filters, each with a limit of its own: {filters}. `loupe recipes options
    curation` explains every key of a recipe.
    """
    from pipelines.common.ownership import owned

    if replay:
        _replay(recipe, output, sets, replay, as_json, dry_run=dry_run, update=update)
        return
    if input is None:
        from data_filters.errors import InputError

        raise InputError("--input is missing; give the folder or URI of the raw shards")
    # First of all: a second start is refused before it loads ray.
    with contextlib.nullcontext() if dry_run else owned(output):
        from cluster.console import progress
        from pipelines.curate.run import curate as run_curation

        config = _config(recipe, sets)
        if scores is not None:
            _check_scores(scores)
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
                pilot=pilot,
                progress=lambda now: tick(now.done, now.total, now.phase),
            )
    if as_json:
        print_json(summary.as_json())
        return
    if summary.plan is not None:
        print_plan(summary.plan)
    print_funnel(summary)
    if summary.estimate is not None:
        print_estimate(summary.estimate)


def _config(recipe: str, sets: list[str] | None) -> CurateConfig:
    from cluster.recipes import load_recipe
    from cluster.shipped import CURATION
    from pipelines.curate.config import CurateConfig

    config = load_recipe(CurateConfig, CURATION, recipe, sets)
    _check_switched_off(config, recipe, sets or [])
    return config


def _check_switched_off(config: CurateConfig, recipe: str, sets: list[str]) -> None:
    """Refuse `rules.NAME=null` of a rule that the recipe does not have: a misspelt name would leave the rule on."""
    from cluster.recipes import find_recipe, read_values
    from cluster.shipped import CURATION
    from data_filters.errors import InputError

    set_keys = {assignment.partition("=")[0].strip() for assignment in sets}
    names = [name for name in config.switched_off() if f"rules.{name}" in set_keys]
    if not names:
        return
    own = list(read_values(find_recipe(CURATION, recipe)).get("rules") or {})
    for name in names:
        if name in own:
            continue
        near = difflib.get_close_matches(name, own, n=1)
        hint = f"did you mean rules.{near[0]}?" if near else f"its rules are {', '.join(own) or 'none'}"
        raise InputError(f"--set rules.{name}=null: recipe {recipe} has no rule {name}; {hint}")


def _check_scores(output: str) -> None:
    """Refuse an output without scores: all of them would be computed again, without a word."""
    from data_filters.errors import InputError
    from pipelines.curate.scores.storage import stored_groups

    if not stored_groups(output):
        raise InputError(
            f"--scores {output} holds no scores; give an output of `loupe curate`, or leave --scores out"
        )


def _replay(
    recipe: str,
    output: str,
    sets: list[str] | None,
    changes: list[str],
    as_json: bool,
    *,
    dry_run: bool,
    update: bool,
) -> None:
    """Print the funnel that a changed recipe would give."""
    from cluster.console import print_table
    from data_filters.errors import InputError
    from pipelines.curate.replay import replay

    if dry_run or update:
        other = "--dry-run" if dry_run else "--update"
        raise InputError(
            f"--replay and {other} do not go together; --replay writes nothing, leave {other} out"
        )
    base = _config(recipe, sets)
    try:
        changed = _config(recipe, [*(sets or []), *changes])
    except InputError as error:
        raise InputError(str(error).replace("--set", "--replay")) from error
    found = replay(changed, base, output)
    if as_json:
        print_json(found.as_json())
        return
    print_table(*found.table())
    typer.echo(found.words())


def print_plan(plan: PlanWords) -> None:
    """Print the order of the rules, the scores that are computed, and the recall of rules on near duplicates."""
    from cluster.console import print_table
    from pipelines.curate.plan_words import HEAD

    print_table(HEAD, [list(rule) for rule in plan.rules])
    for phase, groups in plan.groups.items():
        typer.echo(f"scores that the {phase} needs: {', '.join(groups)}")
    for name in plan.recall:
        print_table(*plan.recall_table(name))
    typer.echo("")


def print_estimate(estimate: Estimate) -> None:
    """Print what a dry run tells of the whole run."""
    for line in estimate.lines():
        typer.echo(line)


def print_funnel(summary: CurateSummary) -> None:
    """Print a line for each filter, then what was kept of what and where the report is."""
    from cluster.console import print_table

    print_table(*summary.funnel_table())
    share = f" ({100 * summary.kept / summary.pairs:.1f}%)" if summary.pairs else ""
    place = "nothing written (dry run)" if summary.report is None else f"report: {summary.report}"
    if summary.estimate is not None and not summary.estimate.is_exact:
        place = f"counted in {summary.estimate.pilot_shards} of {summary.shards} shards; {place}"
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
