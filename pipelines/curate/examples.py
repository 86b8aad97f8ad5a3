"""Pictures of rejected pairs for the report: `OUTPUT/examples/NAME.json`, a few of every rule per shard."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from data_filters.decode import decode
from data_filters.sample import BrokenSample, sample_from_members
from pipelines.common.files import join, remove_file, write_json
from pipelines.curate.decide import Decision, Rows, values_of
from pipelines.curate.plan import Plan, Step
from pipelines.curate.scores.facts import members_at
from pipelines.curate.scores.storage import Scores
from pipelines.shards.batches import parts_of
from pipelines.shards.reader import read_members
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.unit import Unit

EXAMPLES = "examples"
THUMBNAIL = 128  # pixels, the longer side of an example's picture
CAPTION_SHOWN = 300  # characters of an example's caption


def write_examples(scores: Scores, decision: Decision, plan: Plan, output: str, count: int) -> None:
    """Write the first `count` rejected pairs of every rule, by key; no file where there are none.

    Of a pair that a rule with `hides_content` rejects there is neither picture nor caption.
    """
    unit = scores.unit
    uri = join(output, EXAMPLES, f"{unit.name}.json")
    hidden = sum(1 << n for n, step in enumerate(plan.steps) if getattr(step.rule, "hides_content", False))
    chosen: list[tuple[Step, int, Any, bool]] = []
    keys = np.array(scores.facts.column("key").to_pylist(), dtype=object)
    first = decision.first
    by_name = sorted(enumerate(plan.steps), key=lambda numbered: numbered[1].name)
    for number, step in by_name:
        rows = np.flatnonzero(first == number)
        rows = np.array(sorted(rows, key=lambda row: keys[row])[:count], np.int64)
        if len(rows):
            values = values_of(scores, decision, number, step, rows)
            shown = [not int(decision.bits[row]) & hidden for row in rows]
            chosen += zip([step] * len(rows), rows.tolist(), values, shown, strict=True)
    if chosen:
        write_json(uri, list(_examples(scores, chosen)), ensure_ascii=True, end="")
    else:
        remove_file(uri)


# Any: numbers or texts.
def _examples(scores: Scores, chosen: Sequence[tuple[Step, int, Any, bool]]) -> Iterator[dict[str, object]]:
    """The entries of some pairs: rule, row, value, and whether it is shown; members are read from the raw shard."""
    rows: Rows = np.array([row for _, row, _, _ in chosen], np.int64)
    facts = scores.facts.select(["key", "width", "height"]).take(pa.array(rows)).to_pylist()
    places = members_at(scores.facts, rows)
    for (step, _, value, is_shown), row, members in zip(chosen, facts, places, strict=True):
        caption, picture = _shown(scores.unit, parts_of(members)) if is_shown else ("", "")
        yield {
            "filter": step.name,
            "shard": scores.unit.shard,
            "key": row["key"],
            "value": f"{value:g}" if isinstance(value, float) else str(value),
            "limit": step.rule.limit(),
            "width": row["width"],
            "height": row["height"],
            "caption": caption,
            "picture": picture,
        }


def _shown(unit: Unit, members: list[Member]) -> tuple[str, str]:
    """Caption and picture of a pair, empty where its members cannot be read any more.

    An example is no reason to end a run; a shard that has changed is noticed before the commit.
    """
    names = [member.extension for member in members]
    try:
        contents = dict(zip(names, read_members(unit.uri, members), strict=True))
        sample = sample_from_members(members[0].key, contents)
    except (BrokenSample, BrokenShard):
        return "", ""
    return (sample.caption or "")[:CAPTION_SHOWN], _thumbnail(sample.image or b"")


def _thumbnail(data: bytes) -> str:
    """A small JPEG as base64; empty when the image does not decode, which its header cannot tell."""
    try:
        small = decode(data, at_least=THUMBNAIL)
    except BrokenSample:
        return ""
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=70)
    return base64.b64encode(out.getvalue()).decode("ascii")
