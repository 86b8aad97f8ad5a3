"""`OUTPUT/catalogue.parquet`: the sha256 of each raw shard, and the witness under which a listing shows it.

So a run that starts again sees from one listing, without a request for each shard, that its raw shards are unchanged.
The file is written before the first commit of a run. It may be missing or old: a shard is then looked at by itself.
It stands apart from the manifests, which are equal for equal raw shards, whenever these were copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.common.files import join, read_parquet, remove_file, write_parquet
from pipelines.curate.scores.storage import DAMAGED
from pipelines.shards.listed import MARK_BYTES, listed_marks
from pipelines.shards.unit import Unit

CATALOGUE = "catalogue.parquet"
SHA256_BYTES = 32
SCHEMA = pa.schema(
    [
        ("name", pa.large_string()),
        ("uri", pa.large_string()),
        ("mark", pa.binary(MARK_BYTES)),
        ("sha256", pa.binary(SHA256_BYTES)),
    ]
)

Bytes = npt.NDArray[np.uint8]


class Catalogue:
    """What the listings at a run's start say of its raw shards, and what an earlier run has noted of them.

    Lists the folders of the raw shards, then reads what is noted; 200 bytes of memory for each raw shard.
    """

    def __init__(self, units: Sequence[Unit], output: str) -> None:
        self._units, self._output = units, output
        self._places = {unit.name: place for place, unit in enumerate(units)}
        self._listed = np.zeros((len(units), MARK_BYTES), np.uint8)  # zeros: the listing cannot tell
        marks = listed_marks(unit.uri for unit in units)
        for place, unit in enumerate(units):
            if unit.uri in marks:
                self._listed[place] = np.frombuffer(marks[unit.uri], np.uint8)
        self._noted, self._sha256, self._rows = self._stored()

    def is_unchanged(self, name: str, sha256: str) -> bool:
        """Whether the listing proves that a raw shard still has these bytes; False where it cannot tell."""
        place = self._places.get(name)
        return (
            place is not None
            and bool(self._listed[place].any())
            and bool((self._listed[place] == self._noted[place]).all())
            and self._sha256[place].tobytes().hex() == sha256
        )

    def write(self, sha256: Callable[[str], str | None]) -> None:
        """Note the witness of every raw shard whose bytes are known: `sha256` gives them by name.

        Each of these was read, or proved to be unchanged, after the listing. Nothing is written where all is noted.
        """
        marks, digests = np.zeros_like(self._listed), np.zeros_like(self._sha256)
        for place, unit in enumerate(self._units):
            digest = sha256(unit.name) if self._listed[place].any() else None
            if digest is not None:
                marks[place] = self._listed[place]
                digests[place] = np.frombuffer(bytes.fromhex(digest), np.uint8)
        rows = np.flatnonzero(marks.any(axis=1))
        same = np.array_equal(marks, self._noted) and np.array_equal(digests, self._sha256)
        if same and len(rows) == self._rows:
            return
        self._noted, self._sha256, self._rows = marks, digests, len(rows)
        if not len(rows):
            remove_file(join(self._output, CATALOGUE))
            return
        columns = [
            pa.array([self._units[row].name for row in rows.tolist()], pa.large_string()),
            pa.array([self._units[row].uri for row in rows.tolist()], pa.large_string()),
            _binary(marks[rows]),
            _binary(digests[rows]),
        ]
        write_parquet(join(self._output, CATALOGUE), pa.table(columns, schema=SCHEMA))

    def _stored(self) -> tuple[Bytes, Bytes, int]:
        """The marks and hashes that are noted of these raw shards, zeros for others, and how many the file names."""
        marks, digests = np.zeros_like(self._listed), np.zeros((len(self._units), SHA256_BYTES), np.uint8)
        try:
            table = read_parquet(join(self._output, CATALOGUE))
        except DAMAGED:
            table = None
        if table is None or not table.schema.equals(SCHEMA):
            return marks, digests, 0
        for batch in table.to_batches(max_chunksize=10_000):
            for name, uri, mark, sha256 in zip(
                *(column.to_pylist() for column in batch.columns), strict=True
            ):
                place = self._places.get(name)
                if place is not None and self._units[place].uri == uri:
                    marks[place] = np.frombuffer(mark, np.uint8)
                    digests[place] = np.frombuffer(sha256, np.uint8)
        return marks, digests, table.num_rows


def _binary(rows: Bytes) -> pa.Array:
    """A column of the bytes of each row."""
    data = np.ascontiguousarray(rows)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(data.shape[1]), len(data), [None, pa.py_buffer(data)]
    )
