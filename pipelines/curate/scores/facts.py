"""FACTS, the group that every shard has: where the pairs lie, the images' headers, and hashes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_filters.hashes import caption_key, xxh3
from data_filters.image import ImageHeader
from pipelines.shards.tar_format import Member

FACTS = "facts"
FACTS_VERSION = 1
"""Raise it when a shard gives other rows or other values: every group is then computed anew."""
BATCH = 4096  # pairs whose values are held as Python objects

_MEMBER = pa.struct([("extension", pa.string()), ("offset", pa.int64()), ("length", pa.int64())])
_HASH = pa.binary(16)  # xxh3, 128 bits
FACTS_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("members", pa.list_(_MEMBER)),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("image_bytes", pa.int64()),
        ("image_hash", _HASH),
        ("caption_hash", _HASH),
        ("caption_key", _HASH),
    ]
)
_PLAIN = [name for name in FACTS_SCHEMA.names if name != "members"]


class FactsColumns:
    """Collects the facts of pairs in columns; Python objects of a batch are held at a time."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._clear()

    def _clear(self) -> None:
        self._rows: list[tuple[object, ...]] = []  # as _PLAIN names them
        self._members: list[Member] = []
        self._ends: list[int] = [0]

    def add(self, members: Sequence[Member], header: ImageHeader, image: bytes, caption: str) -> None:
        """Append a pair."""
        text = caption.encode("utf-8")
        width, height, kind = header.width, header.height, header.format
        hashes = xxh3(image), xxh3(text), caption_key(caption)
        self._rows.append((members[0].key, width, height, kind, len(image), *hashes))
        self._members += members
        self._ends.append(len(self._members))
        if len(self._ends) > BATCH:
            self._end_batch()

    def _end_batch(self) -> None:
        if len(self._ends) == 1:
            return
        _, names, offsets, lengths = zip(*self._members, strict=True)
        flat = pa.StructArray.from_arrays(
            [pa.array(names, pa.string()), pa.array(offsets, pa.int64()), pa.array(lengths, pa.int64())],
            fields=list(_MEMBER),
        )
        columns = dict(zip(_PLAIN, zip(*self._rows, strict=True), strict=True))
        arrays = [
            pa.ListArray.from_arrays(pa.array(self._ends, pa.int32()), flat)
            if field.name == "members"
            else pa.array(columns[field.name], field.type)
            for field in FACTS_SCHEMA
        ]
        self._batches.append(pa.record_batch(arrays, schema=FACTS_SCHEMA))
        self._clear()

    def table(self) -> pa.Table:
        """All pairs that were added, in their order."""
        self._end_batch()
        return pa.Table.from_batches(self._batches, FACTS_SCHEMA)


def members_at(facts: pa.Table, rows: npt.NDArray[np.int64]) -> list[list[Member]]:
    """Where the members of some pairs lie in their shard: those of each row number, in the order given."""
    chosen = facts.select(["key", "members"]).take(pa.array(rows))
    lists = chosen.column("members").combine_chunks()
    flat = lists.flatten()
    keys = chosen.column("key").to_pylist()
    ends = np.cumsum([0, *lists.value_lengths().to_pylist()])
    names, offsets, lengths = (flat.field(name).to_pylist() for name in ("extension", "offset", "length"))
    return [
        [Member(key, names[at], offsets[at], lengths[at]) for at in range(start, stop)]
        for key, start, stop in zip(keys, ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]
