"""A leak index: one Parquet file with a row per sample, and the look-up of pictures and captions in it.

The rows are sorted by their place, so that the file's bytes do not depend on the order of the inputs. `pdq` holds the
hashes of all eight orientations; it is null where the picture does not decode. A copy that was turned or mirrored is
found by its one hash.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_filters import pdq
from data_filters.errors import InputError
from data_filters.hashes import xxh3
from data_filters.leakage import NOBODY, NearHashes
from data_filters.perceptual_hash import METHOD
from pipelines.common.files import Uri, filesystem, write_bytes
from pipelines.shards.storage import open_at_random

VERSION = 1
SCHEMA = pa.schema(
    [
        ("source", pa.string()),  # URI of the tar, or of the picture
        ("key", pa.string()),
        ("offset", pa.int64()),  # of the picture in `source`, bytes; -1 without a picture
        ("length", pa.int64()),
        ("image_hash", pa.binary(16)),
        ("caption_key", pa.binary(16)),
        ("pdq", pa.binary(len(pdq.ORIENTATIONS) * pdq.BYTES)),
        ("pdq_quality", pa.int16()),
    ]
)
_SAME = ("source", "key", "offset", "image_hash", "caption_key")
"""Rows that agree in these are one."""
_METADATA = b"loupe_leak_index"
_MEND = "make one with `loupe leak-index`"


@dataclass(frozen=True)
class Entry:
    """Where the picture of a row lies: its tar or its own file, its key, its bytes there."""

    source: str
    key: str
    offset: int
    length: int


@dataclass(frozen=True)
class Matches:
    """What a batch of pairs has in common with an index; `entry` is the row that tells most, NOBODY where none."""

    distance: npt.NDArray[np.int16]  # bits to the nearest picture; leakage.FAR where none is within reach
    entry: npt.NDArray[np.int32]
    bytes: npt.NDArray[np.bool_]
    caption: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LeakIndex:
    """Rows of SCHEMA; `sha256` and number of `rows` of each file that they come from; `sources` that it was made of."""

    table: pa.Table
    sha256: tuple[str, ...]
    rows: tuple[int, ...]
    sources: tuple[str, ...]

    @classmethod
    def load(cls, *uris: Uri) -> LeakIndex:
        """Read indices; their rows are numbered on. Raises InputError for a file that is none, or that has no row."""
        tables, digests, sources = [], [], set()
        for uri in uris:
            data = _bytes(uri)
            table, about = _parse(uri, data)
            tables.append(table)
            digests.append(hashlib.sha256(data).hexdigest())
            sources.update(about["sources"])
        table = pa.concat_tables(tables).combine_chunks() if tables else SCHEMA.empty_table()
        rows = tuple(one.num_rows for one in tables)
        return cls(table, tuple(digests), rows, tuple(sorted(sources)))

    def __len__(self) -> int:
        return self.table.num_rows

    def entry(self, number: int) -> Entry:
        """The place of a row."""
        row = self.table.select(["source", "key", "offset", "length"]).slice(number, 1).to_pylist()[0]
        return Entry(**row)

    def picture(self, number: int) -> bytes | None:
        """Read the picture of a row where it lies; None where there is none, or it is gone or another by now."""
        entry, expected = self.entry(number), self.table["image_hash"][number].as_py()
        try:
            with open_at_random(entry.source) as (read, _):
                data = bytes(read(entry.offset, entry.length)) if expected else b""
        except (OSError, ValueError):  # an InputError where the storage's package is missing is a ValueError
            return None
        return data if expected and xxh3(data) == expected else None

    def nearest(self, hashes: pdq.Hashes) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
        """Distance (bits) and row of the nearest picture to each hash [n, 32], see `NearHashes.nearest`."""
        return self._near.nearest(hashes)

    def match(
        self, hashes: pdq.Hashes, image_hashes: Sequence[bytes], caption_keys: Sequence[bytes]
    ) -> Matches:
        """Look up pairs by the hash of the picture [n, 32], of its bytes, and by the caption's key."""
        distance, entry = self.nearest(hashes)
        by_bytes = _rows(self._by_bytes, image_hashes)
        by_caption = _rows(self._by_caption, caption_keys)
        entry = np.where(by_bytes != NOBODY, by_bytes, np.where(entry != NOBODY, entry, by_caption))
        return Matches(distance, entry, by_bytes != NOBODY, by_caption != NOBODY)

    @cached_property
    def _near(self) -> NearHashes:
        column = self.table["pdq"]
        rows = np.flatnonzero(column.is_valid().to_numpy()).astype(np.int32)
        hashes = np.frombuffer(b"".join(column.drop_null().to_pylist()), np.uint8).reshape(-1, pdq.BYTES)
        return NearHashes(hashes, np.repeat(rows, len(pdq.ORIENTATIONS)))

    @cached_property
    def _by_bytes(self) -> dict[bytes, int]:
        return _first_rows(self.table["image_hash"])

    @cached_property
    def _by_caption(self) -> dict[bytes, int]:
        return _first_rows(self.table["caption_key"])


def write_index(uri: Uri, table: pa.Table, sources: Sequence[str]) -> str:
    """Write rows of SCHEMA, sorted by their place and content, each once; returns the sha256 of the file."""
    ordered = table.sort_by([(name, "ascending") for name in _SAME])
    about = {"version": VERSION, "hash": METHOD, "sources": sorted(set(sources))}
    text = json.dumps(about, ensure_ascii=True, sort_keys=True).encode("ascii")
    buffer = io.BytesIO()
    pq.write_table(_distinct(ordered).replace_schema_metadata({_METADATA: text}), buffer, compression="zstd")
    write_bytes(uri, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _distinct(table: pa.Table) -> pa.Table:
    """Without rows that have place and content of the row before.

    Indices of two machines may name other pictures by the same path: both stay, since a lost row lets its copies
    through.
    """
    if table.num_rows < 2:
        return table
    same = np.ones(table.num_rows - 1, bool)
    for name in _SAME:
        column = table[name].combine_chunks()
        equal = pc.fill_null(pc.equal(column[1:], column[:-1]), False)
        both_null = pc.and_(pc.is_null(column[1:]), pc.is_null(column[:-1]))
        same &= pc.or_(equal, both_null).to_numpy(zero_copy_only=False)
    return table.filter(pa.array(np.concatenate([[True], ~same])))


def _bytes(uri: Uri) -> bytes:
    fs, path = filesystem(uri)
    if not fs.isfile(path):
        raise InputError(f"leak index {uri} does not exist; {_MEND}")
    try:
        data: bytes = fs.cat_file(path)
    except OSError as error:
        raise InputError(f"leak index {uri}: {error.strerror or error}; {_MEND}") from error
    return data


# Any: what JSON holds.
def _parse(uri: Uri, data: bytes) -> tuple[pa.Table, Mapping[str, Any]]:
    """The rows and the description of an index."""
    try:
        table = pq.read_table(io.BytesIO(data))
        about = json.loads((table.schema.metadata or {})[_METADATA])
    except KeyError:
        raise InputError(f"{uri} is a Parquet file, but no leak index; {_MEND}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        text = " ".join(str(error).split())[:120]
        raise InputError(f"{uri} is no leak index ({text}); {_MEND}") from error
    if about.get("version") != VERSION or about.get("hash") != METHOD:
        raise InputError(
            f"leak index {uri} has version {about.get('version')} and hash {about.get('hash')}; allowed are "
            f"{VERSION} and {METHOD}; make it anew with `loupe leak-index`"
        )
    if not table.schema.remove_metadata().equals(SCHEMA):
        raise InputError(f"leak index {uri} has other columns than this version writes; {_MEND}")
    if not table.num_rows:
        raise InputError(f"leak index {uri} is empty; {_MEND}")
    return table, about


def _first_rows(column: pa.ChunkedArray) -> dict[bytes, int]:
    """Value → the first row that has it."""
    values = column.to_pylist()
    found = dict(zip(reversed(values), range(len(values) - 1, -1, -1), strict=True))
    found.pop(None, None)
    return found


def _rows(known: Mapping[bytes, int], values: Sequence[bytes]) -> npt.NDArray[np.int32]:
    return np.fromiter((known.get(value, NOBODY) for value in values), np.int32, len(values))
