"""`loupe recipes list | show | options`: what ships, what a recipe amounts to, and what every key means."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.parameters import Json, Sets
from cluster.cli.results import print_json

if TYPE_CHECKING:
    from cluster.option_groups import OptionGroup
    from pipelines.common.options import OptionDescription

WIDEST = 110  # characters of a line; longer ones are hard to read on a wide terminal


def list_recipes(as_json: Json = False) -> None:
    """List the shipped recipes and ablation plans, each with the first sentence about it."""
    from cluster.recipe_kinds import KINDS

    shipped = {kind: {name: about.summary(name) for name in about.names()} for kind, about in KINDS.items()}
    if as_json:
        print_json(shipped)
        return
    width = max(len(name) for names in shipped.values() for name in names)
    for kind, names in shipped.items():
        typer.echo(f"{kind} ({KINDS[kind].command} NAME)")
        for name, summary in names.items():
            typer.echo(_wrapped(f"  {name:<{width}}  {summary}", indent=width + 4))
        typer.echo()


def show(
    name: Annotated[str, typer.Argument(help="a shipped recipe's name, or a YAML file")],
    kind: Annotated[
        str | None, typer.Option(help="{recipe_kinds}; needed for a file or a shared name")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="the file as it is, comments included")] = False,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Print a recipe as YAML with every value, defaults included: what a run of it would use."""
    from cluster.cli.yaml_text import yaml_text
    from cluster.recipe_kinds import KINDS, kind_of
    from cluster.recipes import find_recipe

    chosen = KINDS[kind_of(name, kind)]
    if plain:
        typer.echo(find_recipe(chosen.folder, name).read_text(encoding="utf-8"), nl=False)
        return
    values = chosen.load(name, sets).model_dump(mode="json")
    if as_json:
        print_json(values)
        return
    typer.echo(yaml_text(values, WIDEST), nl=False)


def options(
    key: Annotated[
        str | None,
        typer.Argument(help="a key or a section, such as data.batch_size or objectives; else every key"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain the keys of recipes and of --set: type, limits, default, and what they mean with their unit."""
    from cluster.option_groups import find_options, option_groups

    groups = option_groups()
    if key is not None:
        groups = find_options(groups, key)
    if as_json:
        print_json({group.name: [vars(option) for option in group.options] for group in groups})
        return
    for group in groups:
        _print_group(group)


def _print_group(group: OptionGroup) -> None:
    typer.secho(f"{group.name} ({group.command})", bold=True)
    for option in group.options:
        typer.echo(f"  {typer.style(option.key, fg='cyan')}  {_facts(option)}")
        if option.description:
            typer.echo(_wrapped(f"      {option.description}", indent=6))
    typer.echo()


def _facts(option: OptionDescription) -> str:
    """Type, limits and default on one line; a section that is always there has no default of its own."""
    facts = [option.type, *([option.limits] if option.limits else [])]
    if option.has_own_default:
        facts.append("required" if option.required else f"default {option.default_text}")
    return ", ".join(facts)


def _wrapped(text: str, indent: int) -> str:
    """`text` in lines as wide as the terminal, those after the first behind `indent` blanks."""
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns)
    lead = text[: len(text) - len(text.lstrip())]
    return textwrap.fill(
        text.strip(), width=width, initial_indent=lead, subsequent_indent=" " * indent, break_on_hyphens=False
    )
