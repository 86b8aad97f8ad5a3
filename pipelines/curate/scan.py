"""Phase A: read every pair of a raw shard once, decode no pixels, and store facts and scores.

`OUTPUT/scan/NAME.parquet` (the sidecar) holds one row per readable pair: where its members lie, the image's header,
hashes, the scores of the filters. It depends on no limit, so it stays valid when the recipe changes. What cannot be
read goes to `OUTPUT/quarantine/NAME.parquet`.
"""

import contextlib
import hashlib
import json
import os
import posixpath
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from fsspec.implementations.local import LocalFileSystem

from data_filters import Facts, score, score_names
from data_filters.image import read_header
from data_filters.sample import BrokenSample, sample_from_members
from pipelines.common.files import filesystem, join, remove_file, write_parquet
from pipelines.shards.reader import group, read_members, walk
from pipelines.shards.tar_format import BrokenShard, Member

SCAN_VERSION = 1
SCAN = "scan"
QUARANTINE = "quarantine"
READ_AHEAD = 64 * 1024 * 1024  # bytes of samples held at once

_MEMBERS = pa.list_(pa.struct([("extension", pa.string()), ("offset", pa.int64()), ("length", pa.int64())]))
_FACTS = (
    ("key", pa.string()),
    ("members", _MEMBERS),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("format", pa.string()),
    ("image_hash", pa.string()),
    ("caption_hash", pa.string()),
)
QUARANTINE_SCHEMA = pa.schema(
    [
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("key", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("exception", pa.string()),
    ]
)


# A pair or a quarantined sample by column name, as `pyarrow.Table.to_pylist` gives it.
Row = dict[str, Any]


def scan_schema() -> pa.Schema:
    """The columns of the sidecar: facts about the pair, then every score of the filters."""
    return pa.schema([*_FACTS, *((name, pa.float64()) for name in score_names())])


@dataclass(frozen=True)
class Unit:
    """A raw shard to curate: `name` without `.tar`, `size` in bytes."""

    name: str
    uri: str
    size: int

    @property
    def shard(self) -> str:
        """The shard's file name, which curated samples name as their source."""
        return f"{self.name}.tar"


@dataclass
class Scanned:
    """The result of a scan: the pairs (columns of `scan_schema`) and what could not be read (QUARANTINE_SCHEMA)."""

    unit: Unit
    sha256: str
    pairs: list[Row] = field(default_factory=list)
    quarantine: list[Row] = field(default_factory=list)

    def table(self) -> pa.Table:
        """The pairs with the facts about the shard as metadata."""
        about = {"version": SCAN_VERSION, "sha256": self.sha256, **asdict(self.unit)}
        schema = scan_schema().with_metadata({b"loupe": json.dumps(about).encode()})
        return pa.Table.from_pylist(self.pairs, schema=schema)


def scan(unit: Unit) -> Scanned:
    """Read a raw shard once. Damage of any kind is recorded in `quarantine` and raises no error."""
    with _local_copy(unit.uri) as path:
        with open(path, "rb") as file:
            found = Scanned(unit, hashlib.file_digest(file, "sha256").hexdigest())
        keys: set[str] = set()
        for batch in _batches(path, found):
            flat = [member for _, members in batch for member in members]
            data = iter(read_members(path, flat))
            for key, members in batch:
                contents = {member.extension: next(data) for member in members}
                try:
                    if key in keys:
                        raise BrokenSample("duplicate_key", f"{key} was there before in this shard")
                    found.pairs.append(_look(key, members, contents))
                    keys.add(key)
                except BrokenSample as broken:
                    found.quarantine.append(_quarantined(unit, members[0].offset, key, broken.reason, broken))
    return found


def _look(key: str, members: list[Member], contents: dict[str, bytes]) -> Row:
    """Read a pair and make its row. Raises BrokenSample."""
    sample = sample_from_members(key, contents)
    if sample.image is None:
        raise BrokenSample("no_image", f"members are {', '.join(sorted(contents))}")
    if sample.caption is None:
        raise BrokenSample("no_caption", f"members are {', '.join(sorted(contents))}")
    header = read_header(sample.image)
    return {
        "key": key,
        "members": [{"extension": m.extension, "offset": m.offset, "length": m.length} for m in members],
        "width": header.width,
        "height": header.height,
        "format": header.format,
        "image_hash": xxhash.xxh3_128_hexdigest(sample.image),
        "caption_hash": xxhash.xxh3_128_hexdigest(sample.caption.encode("utf-8")),
        **score(Facts(header, sample.caption)),
    }


def _batches(path: str, found: Scanned) -> Iterator[list[tuple[str, list[Member]]]]:
    """Yield whole samples in batches of about READ_AHEAD bytes; damage of the tar ends them and is quarantined."""
    batch: list[tuple[str, list[Member]]] = []
    held = 0
    try:
        for key, members in group(walk(path)):
            batch.append((key, members))
            held += sum(member.length for member in members)
            if held >= READ_AHEAD:
                yield batch
                batch, held = [], 0
    except BrokenShard as broken:
        yield batch
        batch = []
        found.quarantine.append(_quarantined(found.unit, broken.offset, broken.key, "broken_shard", broken))
    yield batch


def _quarantined(unit: Unit, offset: int, key: str | None, reason: str, error: Exception) -> Row:
    # A broken shard's own text holds the path of the local copy, which differs from run to run.
    text = f"{error.reason} at byte {error.offset}" if isinstance(error, BrokenShard) else str(error)
    return {
        "shard": unit.shard,
        "offset": offset,
        "key": key,
        "stage": "scan",
        "reason": reason,
        "exception": f"{type(error).__name__}: {text}",
    }


# --- the sidecar ---------------------------------------------------------------------------------------------


def save_scan(found: Scanned, output: str) -> None:
    """Write the quarantine (when there is any), then the sidecar; a sidecar that exists means that both are done."""
    quarantine = join(output, QUARANTINE, f"{found.unit.name}.parquet")
    if found.quarantine:
        write_parquet(quarantine, pa.Table.from_pylist(found.quarantine, schema=QUARANTINE_SCHEMA))
    else:
        remove_file(quarantine)
    write_parquet(_sidecar(found.unit, output), found.table())


def load_scan(unit: Unit, output: str) -> Scanned | None:
    """Read the result of an earlier scan of the same shard (same URI, same size); None when there is none."""
    table = _read(_sidecar(unit, output))
    if table is None:
        return None
    about = json.loads((table.schema.metadata or {}).get(b"loupe", b"{}"))
    wanted = {"version": SCAN_VERSION, **asdict(unit)}
    if any(about.get(name) != value for name, value in wanted.items()):
        return None
    if not set(scan_schema().names) <= set(table.column_names):  # a score was added since
        return None
    bad = _read(join(output, QUARANTINE, f"{unit.name}.parquet"))
    return Scanned(unit, about["sha256"], table.to_pylist(), [] if bad is None else bad.to_pylist())


def _sidecar(unit: Unit, output: str) -> str:
    return join(output, SCAN, f"{unit.name}.parquet")


def _read(uri: str) -> pa.Table | None:
    fs, path = filesystem(uri)
    if not fs.exists(path):
        return None
    with fs.open(path, "rb") as file:
        return pq.read_table(file)


@contextlib.contextmanager
def _local_copy(uri: str) -> Iterator[str]:
    """A local path with the bytes of `uri`: a remote shard is fetched once, in one sequential read."""
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="loupe-") as folder:
        copy = os.path.join(folder, posixpath.basename(path))
        fs.get_file(path, copy)
        yield copy
