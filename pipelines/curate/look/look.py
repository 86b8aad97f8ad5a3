"""Phase L for one raw shard: decodes the pairs that stay so far, and computes what the look groups lack of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_filters.facts import Facts
from data_filters.image import ImageHeader
from data_filters.sample import BrokenSample, parts_from_members
from pipelines.curate.look.ahead import computes_on_gpu, decode_for, decoded_ahead
from pipelines.curate.look.fixed_calls import is_out_of_memory
from pipelines.curate.look.group import (
    AnyLook,
    DerivedGroup,
    LookGroup,
    SparingGroup,
    empty_table,
    fault_column,
    is_derived,
    is_sparing,
    looked_column,
    reads_of,
)
from pipelines.curate.look.picture import Picture
from pipelines.curate.scores.facts import members_at
from pipelines.curate.scores.storage import Scores, load_group
from pipelines.shards.batches import batches, length_of, parts_of
from pipelines.shards.reader import read_members
from pipelines.shards.tar_format import Member
from pipelines.shards.witness import check_unchanged

READ_AHEAD = 32 * 1024 * 1024  # bytes of encoded images that are held at a time
DECODED_AHEAD = 256 * 1024 * 1024  # bytes of pixels that they have at most when decoded
FAULT_LENGTH = 500  # characters of an error's text that are kept

Rows = npt.NDArray[np.int64]


def lacking(table: pa.Table, group: AnyLook, wanted: Rows) -> Rows:
    """Those of the wanted rows at which nobody has looked."""
    looked = table.column(looked_column(group)).to_numpy()
    return wanted[~looked[wanted]]


def still_wanted(scores: Scores, tables: dict[str, pa.Table], group: AnyLook, wanted: Rows) -> Rows:
    """Those of the wanted rows of which a group lacks a score that is needed; `tables`: what is stored of each group.

    Of a group that is told by others' columns at which pairs to look (`SparingGroup`) they are too many while those
    are not there.
    """
    table = tables[group.name]
    if not is_sparing(group):
        return lacking(table, group, wanted)
    columns = replace(scores, tables={**scores.tables, **tables}).columns(group.reads())
    has_fault = table.column(fault_column(group)).is_valid().to_numpy()[wanted]
    return wanted[group.wanted(columns.take(pa.array(wanted))) & ~has_fault]


def look(
    scores: Scores,
    tables: dict[str, pa.Table],
    groups: Sequence[AnyLook],
    wanted: Rows,
    batch_size: int,
    seconds: dict[str, float] | None = None,
) -> dict[str, pa.Table]:
    """Look at the wanted rows of a shard; return the tables of the groups that lacked some of them.

    `tables`: what is stored of each group, by name. A batch holds at most `batch_size` pairs, and is halved where
    memory does not suffice. What each group took, decoding included, is added to `seconds`, by
    name. Raises ShardChanged when the shard is no longer the file whose facts these are.
    """
    seen: dict[str, pa.Table] = {}
    for stage in _stages([group for group in groups if not is_derived(group)]):
        before = {**tables, **seen}
        seen |= _seen(scores, before, stage, wanted, batch_size, {} if seconds is None else seconds)
    for group in groups:
        if is_derived(group):
            rows = _with_sources(lacking(tables[group.name], group, wanted), {**tables, **seen}, group)
            if len(rows):
                started = time.perf_counter()
                seen[group.name] = _derived(scores, {**tables, **seen}, group, rows)
                if seconds is not None:
                    seconds[group.name] = seconds.get(group.name, 0.0) + time.perf_counter() - started
    return seen


def _stages(groups: Sequence[LookGroup]) -> list[list[LookGroup]]:
    """Groups that look at the same time: one that reads columns of others begins after they have ended."""
    stages: list[list[LookGroup]] = [[]]
    for group in groups:
        if reads_of(group, stages[-1]):
            stages.append([])
        stages[-1].append(group)
    return stages


def _seen(
    scores: Scores,
    tables: dict[str, pa.Table],
    groups: Sequence[LookGroup],
    wanted: Rows,
    batch_size: int,
    seconds: dict[str, float],
) -> dict[str, pa.Table]:
    """`look` for the groups that need pixels."""
    missing = {group.name: still_wanted(scores, tables, group, wanted) for group in groups}
    todo = [group for group in groups if len(missing[group.name])]
    if not todo:
        return {}
    rows = np.unique(np.concatenate([missing[group.name] for group in todo]))
    found = {group.name: _Found() for group in todo}
    pictures_of_rows = _pictures(scores, rows, batch_size)
    if computes_on_gpu():
        sizes: dict[int, Rows] = {}
        for group in todo:
            sizes[group.at_least] = np.union1d(sizes.get(group.at_least, rows[:0]), missing[group.name])
        pictures_of_rows = decoded_ahead(pictures_of_rows, decode_for(sizes))
    for batch_rows, pictures in pictures_of_rows:
        for group in todo:
            lacks = np.isin(batch_rows, missing[group.name])
            chosen = [picture for picture, is_lacking in zip(pictures, lacks, strict=True) if is_lacking]
            started = time.perf_counter()
            _measure(group, batch_rows[lacks], chosen, found[group.name])
            seconds[group.name] = seconds.get(group.name, 0.0) + time.perf_counter() - started
    if scores.witness is not None:
        check_unchanged(scores.unit.uri, scores.witness)
    return {group.name: _joined(tables[group.name], group, found[group.name]) for group in todo}


def stored_looks(
    scores: Scores, groups: Sequence[AnyLook], output: str, damaged: list[str] | None = None
) -> dict[str, pa.Table]:
    """What an output holds of these groups, by name. Files that cannot be read are added to `damaged`."""
    found = {group.name: load_group(scores, group, output, damaged) for group in groups}
    return {name: table for name, table in found.items() if table is not None}


def looks_or_empty(scores: Scores, groups: Sequence[AnyLook], *outputs: str | None) -> dict[str, pa.Table]:
    """What outputs hold of each group, pair by pair from the first that has looked at it; empty where none has."""
    tables = {group.name: empty_table(group, scores.facts.num_rows) for group in groups}
    for output in outputs:
        if output is not None:
            tables = filled_up(tables, stored_looks(scores, groups, output), groups)
    return tables


def filled_up(
    tables: Mapping[str, pa.Table], others: Mapping[str, pa.Table], groups: Sequence[AnyLook]
) -> dict[str, pa.Table]:
    """Tables of groups, with the rows of other ones in place of those at which nobody has looked.

    A table to which nothing is added is the same object.
    """
    found = dict(tables)
    for group in groups:
        if group.name not in others:
            continue
        own, other, looked = tables[group.name], others[group.name], looked_column(group)
        takes = pc.and_not(other.column(looked), own.column(looked))
        if pc.any(takes).as_py():
            columns = [pc.if_else(takes, other.column(name), own.column(name)) for name in own.column_names]
            found[group.name] = pa.Table.from_arrays(columns, schema=own.schema)
    return found


@dataclass
class _Found:
    """Rows that were looked at, with their values, and rows that do not decode, with the reason."""

    rows: list[int] = field(default_factory=list)
    batches: list[pa.RecordBatch] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)


def _pictures(scores: Scores, rows: Rows, batch_size: int) -> Iterator[tuple[Rows, list[Picture]]]:
    """The pairs of these rows in batches."""
    members = members_at(scores.facts, rows)
    columns = ["width", "height", "format", "image_bytes"]
    facts = scores.facts.select(columns).take(pa.array(rows)).to_pylist()

    def size(pair: tuple[int, list[Member]]) -> int:
        number, parts = pair
        decoded = 3 * facts[number]["width"] * facts[number]["height"]
        return max(length_of(parts), ceil(READ_AHEAD / batch_size), decoded * READ_AHEAD // DECODED_AHEAD)

    for batch in batches(enumerate(parts_of(of_pair) for of_pair in members), size, READ_AHEAD):
        data = iter(read_members(scores.unit.uri, [member for _, parts in batch for member in parts]))
        pictures = []
        for number, parts in batch:
            image, caption, metadata = parts_from_members({member.extension: next(data) for member in parts})
            about = facts[number]
            header = ImageHeader(about["width"], about["height"], about["format"])
            pair = Facts(header, caption or "", image or b"", metadata or {}, about["image_bytes"])
            pictures.append(Picture(pair))
        yield rows[[number for number, _ in batch]], pictures


def _measure(group: LookGroup, rows: Rows, pictures: list[Picture], found: _Found) -> None:
    """Compute the scores of one batch."""
    good: list[Picture] = []
    rows_of_good: list[int] = []
    for row, picture in zip(rows.tolist(), pictures, strict=True):
        try:
            picture.decoded(group.at_least)
        except BrokenSample as broken:
            found.faults[row] = str(broken)[:FAULT_LENGTH]
            continue
        good.append(picture)
        rows_of_good.append(row)
    if not good:
        return
    batches = _halved(group, good)
    if is_sparing(group):
        batches = [_without_broken(group, batches, rows_of_good, found.faults)]
    found.rows += [row for row in rows_of_good if row not in found.faults]
    found.batches += batches


def _without_broken(
    group: SparingGroup, batches: Sequence[pa.RecordBatch], rows: Sequence[int], faults: dict[int, str]
) -> pa.RecordBatch:
    """The measured rows as one batch without those that the group sets aside, which are added to `faults`."""
    whole = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    reasons = group.broken(whole)
    faults.update({row: reason for row, reason in zip(rows, reasons, strict=True) if reason is not None})
    return whole.filter(pa.array([reason is None for reason in reasons]))


def _halved(group: LookGroup, pictures: list[Picture]) -> list[pa.RecordBatch]:
    """The scores of a batch, in halves where it does not fit into memory."""
    try:
        return [group.measure(pictures)]
    except Exception as error:
        if len(pictures) == 1 or not is_out_of_memory(error):
            raise
    middle = len(pictures) // 2
    return [*_halved(group, pictures[:middle]), *_halved(group, pictures[middle:])]


def _derived(scores: Scores, tables: dict[str, pa.Table], group: DerivedGroup, rows: Rows) -> pa.Table:
    """The stored table of a derived group with these rows."""
    everything = [scores.facts, *tables.values()]
    columns = {
        name: next(table.column(name) for table in everything if name in table.column_names)
        for name in group.reads()
    }
    found = _Found(rows.tolist(), [group.derive(pa.table(columns).take(pa.array(rows)))])
    return _joined(tables[group.name], group, found)


def _with_sources(rows: Rows, tables: dict[str, pa.Table], group: DerivedGroup) -> Rows:
    """The rows whose image decodes, as far as the sources of a derived group have found."""
    for source in group.sources():
        is_there = tables[source.name].column(fault_column(source)).is_null().to_numpy()
        rows = rows[is_there[rows]]
    return rows


def _joined(table: pa.Table, group: AnyLook, found: _Found) -> pa.Table:
    """The stored table with what was found."""
    new = pa.Table.from_batches(found.batches, group.schema())
    order = np.full(table.num_rows, -1, np.int64)
    order[found.rows] = np.arange(len(found.rows))
    faulty = np.zeros(table.num_rows, np.bool_)
    faulty[list(found.faults)] = True
    is_new = pa.array(order >= 0)
    place = pa.array(order, mask=order < 0)
    columns = {}
    for name in group.schema().names:
        columns[name] = pc.if_else(is_new, new.column(name).take(place), table.column(name))
    looked = table.column(looked_column(group)).to_numpy() | (order >= 0) | faulty
    columns[looked_column(group)] = pa.array(looked)
    faults = table.column(fault_column(group)).to_pylist()
    for row, text in found.faults.items():
        faults[row] = text
    columns[fault_column(group)] = pa.array(faults, pa.string())
    return pa.table(columns).cast(table.schema)
