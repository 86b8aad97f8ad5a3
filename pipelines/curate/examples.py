"""Rejected pairs for the report, a few of every rule: chosen from the decisions of many shards, then read from these.

Nothing is kept for them when a shard is written: of a million shards a report shows a dozen pairs for each rule.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, NotRequired, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.common.files import filesystem, join, read_parquet
from pipelines.curate.other_pairs import OtherPair, OtherPairs, hides
from pipelines.curate.pair_picture import caption_and_picture
from pipelines.curate.plan import Plan, Step
from pipelines.curate.scores.facts import FACTS, members_at
from pipelines.curate.scores.storage import DAMAGED, read_identity, scores_uri
from pipelines.curate.status import DECISIONS, REJECTED, decisions_uri, status_uri
from pipelines.shards.batches import parts_of
from pipelines.shards.unit import Unit

SHOWN = 12  # pairs of a rule
MOST_FILES = 500  # shards among which they are chosen
CHUNK = 50  # of these that are looked at before it is asked whether every rule has enough
READERS = 8  # shards that are read at the same time


class Example(TypedDict):
    """A rejected pair; `picture` is a JPEG in base64, empty where the image does not decode or may not be shown."""

    filter: str
    shard: str
    key: str
    value: str
    limit: str
    width: int
    height: int
    caption: str
    picture: str
    other: NotRequired[OtherPair | None]


@dataclass(frozen=True, eq=False)
class _Chosen:
    """A rejected pair by raw shard and row; `hidden` where a rule that it fails says that it may not be shown."""

    step: Step
    name: str
    row: int
    hidden: bool


def rejected_examples(
    output: str, plan: Plan, of_shard: int, rejected: Mapping[str, int]
) -> dict[str, list[Example]]:
    """At most SHOWN rejected pairs of each rule by its name: of each shard the first, then of each the second, ...

    `of_shard`: how many of a shard at most. `rejected`: how many pairs each rule rejects. Shards are looked at evenly
    spread, CHUNK at a time, until every rule has as many as are shown, MOST_FILES at most.

    A pair that goes on account of another has that beside it. Of a pair that a rule with `hides_content` rejects there
    is neither picture nor caption, and no other pair.
    """
    if not of_shard:
        return {}
    with ThreadPoolExecutor(READERS) as pool:
        firsts: list[dict[str, list[_Chosen]]] = []
        for names in _chunks(output):
            firsts += pool.map(lambda name: _first_rejected(output, name, plan, of_shard), names)
            if all(
                sum(len(first.get(name, ())) for first in firsts) >= min(SHOWN, count)
                for name, count in rejected.items()
            ):
                break
        firsts.sort(key=_shard_of)
        chosen: list[_Chosen] = []
        for step in plan.steps:
            in_turn = (one for rank in range(of_shard) for one in _of_rank(firsts, step, rank))
            chosen += islice(in_turn, SHOWN)
        by_shard: dict[str, list[_Chosen]] = {}
        for one in chosen:
            by_shard.setdefault(one.name, []).append(one)
        others = OtherPairs(plan, output)
        read = pool.map(lambda name: _examples_of(output, name, by_shard[name], others), by_shard)
        examples = {one: example for of_shard in read for one, example in of_shard.items()}
    found: dict[str, list[Example]] = {}
    for one in chosen:
        if one in examples:
            found.setdefault(one.step.name, []).append(examples[one])
    return dict(sorted(found.items()))


def names_with_decisions(output: str) -> list[str]:
    """The raw shards with decisions, or MOST_FILES of them, evenly spread; by file name."""
    fs, folder = filesystem(join(output, DECISIONS))
    if not fs.isdir(folder):
        return []
    files = sorted(posixpath.basename(path) for path in fs.ls(folder, detail=False))
    names = [file.removesuffix(".parquet") for file in files if file.endswith(".parquet")]
    return names[:: -(-len(names) // MOST_FILES) or 1]


def _chunks(output: str) -> list[list[str]]:
    """These shards in chunks that are each spread over all."""
    names = names_with_decisions(output)
    count = -(-len(names) // CHUNK)
    return [names[number::count] for number in range(count)]


def _shard_of(firsts: Mapping[str, Sequence[_Chosen]]) -> str:
    """The file name of the shard that some pairs are of; empty where there are none."""
    return next((f"{one.name}.tar" for chosen in firsts.values() for one in chosen), "")


def _first_rejected(output: str, name: str, plan: Plan, count: int) -> dict[str, list[_Chosen]]:
    """The first `count` pairs of a shard that each rule rejects, by the rule's name."""
    table = read_or_none(decisions_uri(output, name), ["bits", "first"])
    if table is None:
        return {}
    hiding = sum(1 << number for number, step in enumerate(plan.steps) if hides(step))
    bits, first = (table.column(column).to_numpy() for column in ("bits", "first"))
    found = {}
    for number, step in enumerate(plan.steps):
        rows = np.flatnonzero(first == number)[:count].tolist()
        found[step.name] = [_Chosen(step, name, row, bool(int(bits[row]) & hiding)) for row in rows]
    return found


def _of_rank(firsts: list[dict[str, list[_Chosen]]], step: Step, rank: int) -> Iterator[_Chosen]:
    """The pair of this rank of each shard that has one."""
    for of_shard in firsts:
        yield from of_shard.get(step.name, [])[rank : rank + 1]


def _examples_of(
    output: str, name: str, chosen: Sequence[_Chosen], others: OtherPairs
) -> dict[_Chosen, Example]:
    """Read pairs of a shard for the report; those whose scores or status cannot be read are left out."""
    facts = read_or_none(scores_uri(output, FACTS, name), ["key", "members", "width", "height"])
    about = read_identity(name, output)
    status = read_or_none(status_uri(output, name), ["key", "outcome", "value", "other_shard", "other_row"])
    if facts is None or status is None or not about or max(one.row for one in chosen) >= facts.num_rows:
        return {}
    rows = np.array([one.row for one in chosen], np.int64)
    pairs = facts.select(["key", "width", "height"]).take(pa.array(rows)).to_pylist()
    status = status.filter(pc.equal(status.column("outcome"), REJECTED))
    keys = pa.array([pair["key"] for pair in pairs], pa.string())
    fates = status.take(pc.index_in(keys, status.column("key").combine_chunks())).to_pylist()
    unit = Unit(name, about["uri"], about["size"])
    found: dict[_Chosen, Example] = {}
    for one, pair, fate, members in zip(chosen, pairs, fates, members_at(facts, rows), strict=True):
        if fate["key"] is None:
            continue
        caption, picture = ("", "") if one.hidden else caption_and_picture(unit, parts_of(members), about)
        has_other = fate["other_shard"] is not None and not one.hidden
        found[one] = {
            **example_of(one.step, unit, pair, short_value(str(fate["value"])), caption, picture),
            "other": others.at(fate["other_shard"], fate["other_row"]) if has_other else None,
        }
    return found


# Any: key, width and height, of the facts.
def example_of(
    step: Step, unit: Unit, pair: Mapping[str, Any], value: str, caption: str, picture: str
) -> Example:
    """The example of a pair of a raw shard, with the value that the step compared."""
    return {
        "filter": step.name,
        "shard": unit.shard,
        "key": pair["key"],
        "value": value,
        "limit": step.rule.limit(),
        "width": pair["width"],
        "height": pair["height"],
        "caption": caption,
        "picture": picture,
    }


def short_value(value: str) -> str:
    """A number with six digits at most; another value as it is."""
    try:
        return f"{float(value):g}" if "." in value or "e" in value else value
    except ValueError:
        return value


def read_or_none(uri: str, columns: list[str]) -> pa.Table | None:
    """Columns of a file; None where it is not there or damaged."""
    try:
        return read_parquet(uri, columns)
    except DAMAGED:
        return None
