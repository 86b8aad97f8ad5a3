"""What became of every sample of a raw shard: `OUTPUT/decisions/NAME.parquet` and `OUTPUT/status/NAME.parquet`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.common.files import join, read_parquet, write_parquet
from pipelines.curate.corpus.drops import ROW_BITS, ROW_MASK
from pipelines.curate.decide import Decision, faults_of, others_of, values_of
from pipelines.curate.plan import Plan
from pipelines.curate.scores.storage import Scores

DECISIONS = "decisions"
STATUS = "status"
KEPT, REJECTED, QUARANTINED = "kept", "rejected", "quarantined"

STATUS_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("offset", pa.int64()),  # of the sample's first member in the raw shard, in bytes
        ("outcome", pa.string()),
        ("fails", pa.list_(pa.string())),  # every rule that it fails, in their order
        ("rule", pa.string()),  # the first of them, or the reason of the quarantine
        ("value", pa.string()),  # what the rule compared
        ("limit", pa.string()),
        ("other_shard", pa.string()),  # of a duplicate: the pair on whose account
        ("other_row", pa.int64()),
        ("tar", pa.string()),  # in the output
        ("tar_key", pa.string()),
        ("tar_offset", pa.int64()),  # of its first member there, in bytes
    ]
)


def decisions_uri(output: str, name: str) -> str:
    """The URI of the decisions about unit `name`."""
    return join(output, DECISIONS, f"{name}.parquet")


def status_uri(output: str, name: str) -> str:
    """The URI of the status of unit `name`."""
    return join(output, STATUS, f"{name}.parquet")


def write_decisions(scores: Scores, decision: Decision, plan: Plan, output: str) -> None:
    """Write for each pair the rules that it fails, as bits in the order of `steps`, and the first (-1: kept)."""
    about = {"steps": [step.name for step in plan.steps], "sha256": scores.sha256}
    table = pa.table({"bits": pa.array(decision.bits), "first": pa.array(decision.first)})
    table = table.replace_schema_metadata({b"loupe": json.dumps(about).encode()})
    write_parquet(decisions_uri(output, scores.unit.name), table)


def read_decisions(output: str, name: str) -> npt.NDArray[np.int64]:
    """Read the bits of a unit's pairs, 0 where one is kept."""
    uri = decisions_uri(output, name)
    table = read_parquet(uri, ["bits"])
    if table is None:
        raise FileNotFoundError(uri)
    bits: npt.NDArray[np.int64] = table.column("bits").to_numpy()
    return bits


def write_status(
    scores: Scores,
    decision: Decision,
    plan: Plan,
    output: str,
    places: Mapping[str, tuple[str, str, int]],
    shard_names: Mapping[int, str],
) -> None:
    """Write the row of every sample of the raw shard, by offset.

    `places`: of each key that is kept its tar, its key there and the offset of its first member. `shard_names`: the raw
    shards by number, and those of earlier outputs by negative number (see `pipelines.curate.corpus`).
    """
    table = _pairs(scores, decision, plan, places, shard_names)
    if scores.quarantine.num_rows:
        table = pa.concat_tables([table, _quarantined(scores)])
    offsets = table.column("offset").to_numpy()
    if (offsets[1:] < offsets[:-1]).any():  # pairs are in the order of the tar, but for hard links
        table = table.sort_by("offset")
    write_parquet(status_uri(output, scores.unit.name), table)


def _pairs(
    scores: Scores,
    decision: Decision,
    plan: Plan,
    places: Mapping[str, tuple[str, str, int]],
    shard_names: Mapping[int, str],
) -> pa.Table:
    keys = scores.facts.column("key").to_pylist()
    count = len(keys)
    value: list[str | None] = [None] * count
    limit: list[str | None] = [None] * count
    rule: list[str | None] = [None] * count
    other: list[int | None] = [None] * count
    first = decision.first
    for number, step in enumerate(plan.steps):
        rows = np.flatnonzero(first == number)
        if not len(rows):
            continue
        found = zip(
            rows.tolist(),
            values_of(scores, decision, number, step, rows),
            others_of(decision, number, rows),
            strict=True,
        )
        for row, compared, account in found:
            value[row], limit[row], rule[row] = _text(compared), step.rule.limit(), step.name
            other[row] = None if account is None or account == -1 else account
    kept = (decision.bits == 0).tolist()
    outcome = [KEPT if is_kept else REJECTED for is_kept in kept]
    faults = faults_of(scores, plan)
    for row in decision.set_aside.tolist():
        outcome[row], value[row] = QUARANTINED, faults[row]
        rule[row] = (faults[row] or "").split(":")[0]
    place = [
        places.get(key, (None, None, None)) if is_kept else (None, None, None)
        for key, is_kept in zip(keys, kept, strict=True)
    ]
    tars, tar_keys, tar_offsets = zip(*place, strict=True) if place else ((), (), ())
    columns = {
        "key": keys,
        "offset": _first_offsets(scores.facts),
        "outcome": outcome,
        "fails": _names_of(decision, plan),
        "rule": rule,
        "value": value,
        "limit": limit,
        "other_shard": [None if rank is None else shard_names.get(rank >> ROW_BITS, "?") for rank in other],
        "other_row": [None if rank is None else rank & ROW_MASK for rank in other],
        "tar": tars,
        "tar_key": tar_keys,
        "tar_offset": tar_offsets,
    }
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in STATUS_SCHEMA})


def _names_of(decision: Decision, plan: Plan) -> list[list[str]]:
    """The names of the rules that each pair fails; pairs of equal bits share a list."""
    by_bits = {
        bits: [step.name for number, step in enumerate(plan.steps) if bits >> number & 1]
        for bits in np.unique(decision.bits).tolist()
    }
    return [by_bits[bits] for bits in decision.bits.tolist()]


def _first_offsets(facts: pa.Table) -> list[int]:
    lists = facts.column("members").combine_chunks()
    if not len(lists):
        return []
    offsets = lists.flatten().field("offset").to_numpy()
    starts = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())[:-1]])
    firsts: list[int] = np.minimum.reduceat(offsets, starts).tolist()
    return firsts


def _quarantined(scores: Scores) -> pa.Table:
    rows = scores.quarantine.filter(pc.greater(scores.quarantine.column("count"), 0))  # 0: no sample was lost
    nothing: dict[str, Any] = {name: [None] * rows.num_rows for name in STATUS_SCHEMA.names}
    columns = {
        **nothing,
        "key": rows.column("key").to_pylist(),
        "offset": rows.column("offset").to_pylist(),
        "outcome": [QUARANTINED] * rows.num_rows,
        "rule": rows.column("reason").to_pylist(),
        "value": rows.column("exception").to_pylist(),
    }
    return pa.table({field.name: pa.array(columns[field.name], field.type) for field in STATUS_SCHEMA})


def _text(value: object) -> str | None:
    if isinstance(value, float):
        return f"{value:.9g}"
    return None if value is None else str(value)
