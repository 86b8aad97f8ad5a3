"""Rejected pairs for the report, a few of every rule: chosen from the decisions of many shards, then read from these.

Nothing is kept for them when a shard is written: of a million shards a report shows a dozen pairs for each rule.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
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
READERS = 16  # files that are read at the same time


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


@dataclass(frozen=True)
class _Chosen:
    """A rejected pair by raw shard and row; `hidden` where a rule that it fails says that it may not be shown."""

    step: Step
    name: str
    row: int
    hidden: bool


def rejected_examples(output: str, plan: Plan, of_shard: int) -> dict[str, list[Example]]:
    """At most SHOWN rejected pairs of each rule by its name: of each shard the first, then of each the second, ...

    `of_shard`: how many of a shard at most. Of more than MOST_FILES shards as many are looked at, evenly spread.

    A pair that goes on account of another has that beside it. Of a pair that a rule with `hides_content` rejects there
    is neither picture nor caption, and no other pair.
    """
    if not of_shard:
        return {}
    with ThreadPoolExecutor(READERS) as pool:
        names = _names(output)
        firsts = list(pool.map(lambda name: _first_rejected(output, name, plan, of_shard), names))
        chosen: list[_Chosen] = []
        for step in plan.steps:
            in_turn = (one for rank in range(of_shard) for one in _of_rank(firsts, step, rank))
            chosen += islice(in_turn, SHOWN)
        others = OtherPairs(plan, output)
        read = pool.map(lambda one: _example(output, one, others), chosen)
        found: dict[str, list[Example]] = {}
        for example in read:
            if example is not None:
                found.setdefault(example["filter"], []).append(example)
    return dict(sorted(found.items()))


def _names(output: str) -> list[str]:
    """The raw shards with decisions, or MOST_FILES of them, evenly spread; by file name."""
    fs, folder = filesystem(join(output, DECISIONS))
    if not fs.isdir(folder):
        return []
    files = sorted(posixpath.basename(path) for path in fs.ls(folder, detail=False))
    names = [file.removesuffix(".parquet") for file in files if file.endswith(".parquet")]
    return names[:: -(-len(names) // MOST_FILES) or 1]


def _first_rejected(output: str, name: str, plan: Plan, count: int) -> dict[str, list[_Chosen]]:
    """The first `count` pairs of a shard that each rule rejects, by the rule's name."""
    table = _read(decisions_uri(output, name), ["bits", "first"])
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


def _example(output: str, chosen: _Chosen, others: OtherPairs) -> Example | None:
    """Read a pair for the report; None where its scores or its status cannot be read."""
    facts = _read(scores_uri(output, FACTS, chosen.name), ["key", "members", "width", "height"])
    about = read_identity(chosen.name, output)
    if facts is None or not about or chosen.row >= facts.num_rows:
        return None
    pair = facts.slice(chosen.row, 1)
    key, width, height = (pair.column(name)[0].as_py() for name in ("key", "width", "height"))
    status = _status(output, chosen.name, key)
    if status is None:
        return None
    (members,) = members_at(pair, np.zeros(1, np.int64))
    unit = Unit(chosen.name, about["uri"], about["size"])
    caption, picture = ("", "") if chosen.hidden else caption_and_picture(unit, parts_of(members), about)
    has_other = status["other_shard"] is not None and not chosen.hidden
    return {
        "filter": chosen.step.name,
        "shard": unit.shard,
        "key": key,
        "value": _short(str(status["value"])),
        "limit": chosen.step.rule.limit(),
        "width": width,
        "height": height,
        "caption": caption,
        "picture": picture,
        "other": others.at(status["other_shard"], status["other_row"]) if has_other else None,
    }


# Any: the values of STATUS_SCHEMA.
def _status(output: str, name: str, key: str) -> dict[str, Any] | None:
    """What became of a rejected pair."""
    columns = ["key", "outcome", "value", "other_shard", "other_row"]
    table = _read(status_uri(output, name), columns)
    if table is None:
        return None
    is_this = pc.and_(pc.equal(table.column("key"), key), pc.equal(table.column("outcome"), REJECTED))
    rows: list[dict[str, Any]] = table.filter(is_this).to_pylist()
    return rows[0] if rows else None


def _short(value: str) -> str:
    """A number with six digits at most; another value as it is."""
    try:
        return f"{float(value):g}" if "." in value or "e" in value else value
    except ValueError:
        return value


def _read(uri: str, columns: list[str]) -> pa.Table | None:
    try:
        return read_parquet(uri, columns)
    except DAMAGED:
        return None
