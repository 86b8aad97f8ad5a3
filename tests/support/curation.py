"""The phases of curation for one shard, without Ray, and their results as lists that a test can compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import Decision, decide
from pipelines.curate.kept_samples import Part
from pipelines.curate.plan import make_plan
from pipelines.curate.scan import scan
from pipelines.curate.scores.facts import FACTS, FACTS_SCHEMA
from pipelines.curate.scores.storage import QUARANTINE_SCHEMA, Scores, save_facts, save_scores
from pipelines.curate.write import write_unit
from pipelines.shards.manifest import Manifest
from pipelines.shards.unit import Unit


def scanned(unit: Unit, config: CurateConfig | None = None) -> Scores:
    """Scan a shard for the rules of a recipe."""
    return scan(unit, make_plan(config or CurateConfig()).groups)


def store(scores: Scores, output: str, config: CurateConfig | None = None) -> None:
    """Write what a scan has found."""
    save_scores(scores, make_plan(config or CurateConfig()).groups, output)
    save_facts(scores, output)


def judged(scores: Scores, config: CurateConfig) -> Decision:
    """Decide about the pairs of a scan, by rules that look at one pair."""
    return decide(scores, make_plan(config))


def curate_one(unit: Unit, output: str, config: CurateConfig) -> tuple[Scores, Decision, Manifest]:
    """Scan a shard, decide, write and commit it."""
    scores = scanned(unit, config)
    store(scores, output, config)
    decision = judged(scores, config)
    manifest = write_unit(unit.name, [Part(scores, decision)], output, config, make_plan(config))
    return scores, decision, manifest


def pairs_of(scores: Scores) -> list[dict[str, Any]]:
    """The pairs that a scan has found: facts and scores by column name."""
    columns = {name: table.column(name) for table in scores.tables.values() for name in table.column_names}
    return pa.table(columns).to_pylist()


def bad_of(scores: Scores) -> list[dict[str, Any]]:
    """The samples that a scan has set aside."""
    return scores.quarantine.to_pylist()


def kept_keys(scores: Scores, decision: Decision) -> list[str]:
    """The keys of the pairs that are kept, in the shard's order."""
    keys = scores.facts.column("key").to_pylist()
    return [keys[row] for row in decision.kept]


def rejected(scores: Scores, decision: Decision, config: CurateConfig) -> list[tuple[str, str]]:
    """Key and first failing rule of every pair that is rejected, in the shard's order."""
    keys, steps = scores.facts.column("key").to_pylist(), make_plan(config).steps
    return [(key, steps[first].name) for key, first in zip(keys, decision.first, strict=True) if first >= 0]


def scores_of(
    rows: Sequence[dict[str, Any]], bad: Sequence[dict[str, Any]] = (), config: CurateConfig | None = None
) -> Scores:
    """The scores of a shard that nobody has read: pairs with a key and the scores of filters; samples set aside."""
    facts = pa.Table.from_pylist([{"key": row["key"]} for row in rows], FACTS_SCHEMA)
    tables = {FACTS: facts}
    for group in make_plan(config or CurateConfig()).groups:
        columns = {name: [float(row[name]) for row in rows] for name in group.schema().names}
        tables[group.name] = pa.table(columns, group.schema())
    quarantine = pa.Table.from_pylist(
        [{"count": 1, "estimated": False, **row} for row in bad], QUARANTINE_SCHEMA
    )
    return Scores(Unit("0", "/nowhere/0.tar", 0), "00" * 32, tables, quarantine)
