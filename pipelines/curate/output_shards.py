"""Which raw shards make a curated one: each by itself, or consecutive ones up to a size.

Groups are fixed when they are first written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.common.files import join, read_json, write_json
from pipelines.shards.unit import Unit

PLAN = "plan.json"


@dataclass(frozen=True)
class OutputShard:
    """A curated shard: its name, that of its first raw shard, and its raw shards."""

    name: str
    units: tuple[Unit, ...]


def output_shards(
    units: Sequence[Unit], kept_bytes: Mapping[str, int], target: int | None, fixed: Iterable[Sequence[str]]
) -> list[OutputShard]:
    """Group the raw shards. `target`: bytes of the kept pairs of a group at least, None for one raw shard each.

    `kept_bytes`: bytes of the kept pairs by the raw shard's name. `fixed`: the groups of an earlier run, by the names
    of their raw shards, which stay as far as those are there.
    """
    by_name = {unit.name: unit for unit in units}
    group_of = {name: tuple(group) for group in fixed for name in group}
    groups: list[list[Unit]] = []
    for names, together in itertools.groupby(units, lambda unit: group_of.get(unit.name)):
        found = list(together)
        groups += [found] if names is not None else list(_filled(found, kept_bytes, target))
    # A new raw shard whose name lies inside of a group splits its neighbours, not the group.
    whole: dict[tuple[str, ...] | int, list[Unit]] = {}
    for number, group in enumerate(groups):
        whole.setdefault(group_of.get(group[0].name, number), []).extend(group)
    return [
        OutputShard(_name(key, group), tuple(group))
        for key, group in whole.items()
        if group[0].name in by_name
    ]


def _name(key: tuple[str, ...] | int, group: list[Unit]) -> str:
    """A group keeps the name of the raw shard that was its first when it was formed."""
    return key[0] if isinstance(key, tuple) else group[0].name


def _filled(units: list[Unit], kept_bytes: Mapping[str, int], target: int | None) -> Iterator[list[Unit]]:
    if target is None:
        yield from ([unit] for unit in units)
        return
    group: list[Unit] = []
    held = 0
    for unit in units:
        group.append(unit)
        held += kept_bytes.get(unit.name, 0)
        if held >= target:
            yield group
            group, held = [], 0
    if group:
        yield group


def read_groups(output: str) -> list[list[str]]:
    """The groups that an earlier run has fixed, by the names of their raw shards; [] where there are none."""
    stored = read_json(join(output, PLAN))
    return [list(group) for group in stored["groups"]] if isinstance(stored, dict) else []


def write_groups(output: str, shards: Sequence[OutputShard]) -> None:
    """Fix the groups for later runs, each with the name of its curated shard first, whose raw shard may be gone."""
    groups = [list(dict.fromkeys([shard.name, *(unit.name for unit in shard.units)])) for shard in shards]
    write_json(join(output, PLAN), {"version": 1, "groups": groups}, indent=None)
