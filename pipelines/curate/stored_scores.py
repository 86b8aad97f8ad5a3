"""What an output knows of raw shards that need not be there any more: scores, and which pairs lack some of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.common.files import filesystem, join, read_parquet
from pipelines.curate.look.group import (
    AnyLook,
    DerivedGroup,
    SparingGroup,
    fault_column,
    is_derived,
    is_look_group,
    is_sparing,
    looked_column,
    stored_schema,
)
from pipelines.curate.plan import LimitRule, Plan
from pipelines.curate.scores.facts import FACTS, FACTS_SCHEMA
from pipelines.curate.scores.filter_scores import FilterScores
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.storage import (
    DAMAGED,
    QUARANTINE,
    QUARANTINE_SCHEMA,
    SCORES,
    about_file,
    about_group,
    facts_identity,
    scores_uri,
)

READERS = 16  # files whose footers are read at the same time
SCORED = "scored "
"""SCORED + a step's number is a column of booleans: whether each pair has the scores that the step reads."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScoredShard:
    """A raw shard that was scanned: its name, the sha256 of its bytes, the number of its pairs."""

    name: str
    sha256: str
    rows: int

    @property
    def shard(self) -> str:
        """The file name, by which shards are ordered wherever it matters which pair is earlier."""
        return f"{self.name}.tar"


def scored_shards(output: str) -> list[ScoredShard]:
    """The raw shards whose facts lie in an output, by file name; those of another version are left out."""
    fs, folder = filesystem(join(output, SCORES, FACTS))
    if not fs.isdir(folder):
        return []
    names = [
        path.rsplit("/", 1)[-1].removesuffix(".parquet")
        for path in fs.ls(folder, detail=False)
        if path.endswith(".parquet")
    ]
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda name: facts_identity(name, output), names)
        shards = [
            ScoredShard(name, str(about["sha256"]), rows)
            for name, (about, rows) in zip(names, found, strict=True)
            if about
        ]
    return sorted(shards, key=lambda one: one.shard)


@dataclass(frozen=True)
class StoredScores:
    """The scores of an output that a plan reads (`pipelines.curate.corpus.source.ShardSource` without `passing`).

    A column that is not there, or is out of date, is null throughout.
    """

    output: str
    shards: tuple[ScoredShard, ...]
    plan: Plan

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(self.shards)

    def name(self, shard: int) -> str:
        """The shard's name."""
        return self.shards[shard].name

    def rows(self, shard: int) -> int:
        """The number of the shard's pairs."""
        return self.shards[shard].rows

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """These columns of all pairs of a shard; SCORED columns among them."""
        wanted = {name for name in columns if not name.startswith(SCORED)}
        steps = {name: int(name.removeprefix(SCORED)) for name in columns if name.startswith(SCORED)}
        needs = {step: step_columns(self.plan, step) for step in steps.values()}
        read, is_there = self._read(shard, wanted.union(*needs.values()))
        for name, step in steps.items():
            mask = np.ones(self.rows(shard), np.bool_)
            for column in needs[step]:
                mask &= is_there[column]
            read[name] = pa.chunked_array([pa.array(mask)])
        return pa.table({name: read[name] for name in columns})

    def quarantine(self, shard: int) -> pa.Table:
        """The samples of a shard that could not be read."""
        table = read_parquet(join(self.output, QUARANTINE, f"{self.name(shard)}.parquet"))
        return QUARANTINE_SCHEMA.empty_table() if table is None else table

    def _read(self, shard: int, columns: Iterable[str]) -> tuple[dict[str, pa.ChunkedArray], dict[str, Mask]]:
        """Columns, and of each pair whether it has them."""
        read: dict[str, pa.ChunkedArray] = {}
        is_there: dict[str, Mask] = {}
        for group, names in _by_group(self.plan, columns):
            looked = [looked_column(group)] if group is not None and is_look_group(group) else []
            schema = _schema(group)
            wanted = list(dict.fromkeys([*names, *looked]))
            table = self._stored(shard, group, wanted)
            needs_no_more = None
            if group is not None and is_derived(group):
                table = self._with_derived(shard, group, table)
            elif group is not None and is_sparing(group):
                needs_no_more = self._needs_no_more(shard, group)
            for name in names:
                has = name in table.column_names
                read[name] = table.column(name) if has else _nulls(schema.field(name).type, self.rows(shard))
                mask = np.full(self.rows(shard), has)
                if has and looked and name not in looked:
                    mask &= table.column(looked[0]).to_numpy()
                if needs_no_more is not None and name not in looked:
                    mask = needs_no_more
                is_there[name] = mask
        return read, is_there

    def _needs_no_more(self, shard: int, group: SparingGroup) -> Mask:
        """Whether each pair has the scores of a group, or needs none by the columns that tell."""
        one, reads = self.shards[shard], group.reads()
        own = [name for name in reads if name in group.schema().names]
        fault = fault_column(group)
        table = self._stored(shard, group, [*own, fault])
        read = {name: table.column(name) for name in own if name in table.column_names}
        read |= {name: _nulls(group.schema().field(name).type, one.rows) for name in own if name not in read}
        read |= self._read(shard, [name for name in reads if name not in own])[0]
        mask = ~group.wanted(pa.table({name: read[name] for name in reads}))
        if fault in table.column_names:
            mask |= table.column(fault).is_valid().to_numpy()
        return mask

    def _with_derived(self, shard: int, group: DerivedGroup, stored: pa.Table) -> pa.Table:
        """What is stored of a derived group, or where pairs lack it whose sources are there, all derived anew."""
        reads = list(group.reads())
        read, is_there = self._read(shard, [*reads, *map(fault_column, group.sources())])
        mask = np.ones(self.rows(shard), np.bool_)
        for name in reads:
            mask &= is_there[name]
        for source in group.sources():
            mask &= read[fault_column(source)].is_null().to_numpy()
        looked = looked_column(group)
        if looked in stored.column_names and not (mask & ~stored.column(looked).to_numpy()).any():
            return stored
        rows = np.flatnonzero(mask)
        batch = group.derive(pa.table({name: read[name] for name in reads}).take(pa.array(rows)))
        order = np.full(len(mask), -1, np.int64)
        order[rows] = np.arange(len(rows))
        found = pa.Table.from_batches([batch], group.schema()).take(pa.array(order, mask=order < 0))
        found = found.append_column(looked, pa.array(mask))
        return found.append_column(fault_column(group), pa.nulls(len(mask), pa.string()))

    def _stored(self, shard: int, group: Group | AnyLook | None, names: list[str]) -> pa.Table:
        """Those of the columns of a group that are up to date."""
        one = self.shards[shard]
        fs, path = filesystem(scores_uri(self.output, FACTS if group is None else group.name, one.name))
        if not fs.exists(path):
            return pa.table({})
        with fs.open(path, "rb") as opened:
            try:
                file = pq.ParquetFile(opened, page_checksum_verification=True)
                schema = file.schema_arrow
                if group is not None and not _is_valid(schema, group, one):
                    return pa.table({})
                there = [name for name in names if name in schema.names]
                return file.read(columns=there).replace_schema_metadata()
            except DAMAGED:  # damaged by a crash of the machine
                return pa.table({})


def step_columns(plan: Plan, step: int) -> list[str]:
    """The columns that a step reads, as far as some shard may lack them."""
    rule = plan.steps[step].rule
    groups = [] if isinstance(rule, LimitRule) else list(rule.groups())
    columns = list(rule.columns()) + [name for group in groups for name in group.schema().names]
    return [name for name in dict.fromkeys(columns) if name not in FACTS_SCHEMA.names]


def _by_group(plan: Plan, columns: Iterable[str]) -> Iterator[tuple[Group | AnyLook | None, list[str]]]:
    """The groups that hold some columns, each with those; None is the facts."""
    left = sorted(columns)
    for group in (None, *plan.groups, *plan.looks):
        names = [name for name in left if name in _schema(group).names]
        if names:
            yield group, names


def _schema(group: Group | AnyLook | None) -> pa.Schema:
    return FACTS_SCHEMA if group is None else stored_schema(group)


def _is_valid(schema: pa.Schema, group: Group | AnyLook, shard: ScoredShard) -> bool:
    """Whether a file holds a group's values of these bytes, in this version with these settings."""
    stored = about_file(schema)
    wanted = about_group(group, shard.name, shard.sha256, shard.rows)
    if isinstance(group, FilterScores):  # a column each, none of which depends on which others are there
        stored, wanted = {**stored, "settings": None}, {**wanted, "settings": None}
    return stored == json.loads(json.dumps(wanted))


def _nulls(kind: pa.DataType, rows: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(rows, kind)])
