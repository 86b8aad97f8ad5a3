"""Pictures of rejected pairs for the report: `OUTPUT/examples/NAME.json`, a few of every rule per shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.common.files import join, remove_file, write_json
from pipelines.curate.corpus.dropped import NO_OTHER
from pipelines.curate.decide import Decision, Rows, others_of, values_of
from pipelines.curate.other_pairs import OtherPairs, hides
from pipelines.curate.pair_picture import CAPTION_SHOWN, THUMBNAIL, caption_and_picture
from pipelines.curate.plan import Plan, Step
from pipelines.curate.scores.facts import members_at
from pipelines.curate.scores.storage import Scores
from pipelines.shards.batches import parts_of

__all__ = ["CAPTION_SHOWN", "EXAMPLES", "THUMBNAIL", "write_examples"]

EXAMPLES = "examples"


def write_examples(
    scores: Scores,
    decision: Decision,
    plan: Plan,
    output: str,
    count: int,
    shard_names: Mapping[int, str] | None = None,
) -> None:
    """Write the first `count` rejected pairs of every rule, by key; no file where there are none.

    A pair that goes on account of another stands beside it; `shard_names` are those of `CorpusDecision`. Of a pair that
    a rule with `hides_content` rejects there is neither picture nor caption, and no other pair.
    """
    uri = join(output, EXAMPLES, f"{scores.unit.name}.json")
    others = OtherPairs(plan, output, shard_names or {})
    hidden = sum(1 << number for number, step in enumerate(plan.steps) if hides(step))
    chosen: list[tuple[Step, int, Any, bool]] = []
    accounts: list[int | None] = []
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
            accounts += others_of(decision, number, rows)
    examples: list[dict[str, object]] = []
    for example, rank, (*_, is_shown) in zip(_examples(scores, chosen), accounts, chosen, strict=True):
        other = None if rank is None or rank == NO_OTHER or not is_shown else others.at(rank)
        examples.append({**example, "other": other})
    if examples:
        write_json(uri, examples, ensure_ascii=True, end="")
    else:
        remove_file(uri)


# Any: numbers or texts.
def _examples(scores: Scores, chosen: Sequence[tuple[Step, int, Any, bool]]) -> Iterator[dict[str, object]]:
    """The entries of some pairs: rule, row, value, and whether it is shown; members are read from the raw shard."""
    rows: Rows = np.array([row for _, row, _, _ in chosen], np.int64)
    facts = scores.facts.select(["key", "width", "height"]).take(pa.array(rows)).to_pylist()
    places = members_at(scores.facts, rows)
    for (step, _, value, is_shown), row, members in zip(chosen, facts, places, strict=True):
        caption, picture = caption_and_picture(scores.unit, parts_of(members)) if is_shown else ("", "")
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
