"""Stores the result of a scan beside the output.

`OUTPUT/scan/NAME.parquet` (the sidecar) holds one row per readable pair: where its members lie, the image's header,
hashes, the scores of the filters. `OUTPUT/quarantine/NAME.parquet` holds what could not be read.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq

from data_filters import score_names
from pipelines.common.files import filesystem, join, remove_file, write_parquet
from pipelines.curate.scan import Scanned
from pipelines.shards.unit import Unit

SCAN_VERSION = 2
SCAN = "scan"
QUARANTINE = "quarantine"

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
        ("count", pa.int64()),  # samples lost
    ]
)


def scan_schema() -> pa.Schema:
    """The columns of the sidecar: facts about the pair, then every score of the filters."""
    return pa.schema([*_FACTS, *((name, pa.float64()) for name in score_names())])


def save_scan(scanned: Scanned, output: str) -> None:
    """Write the quarantine (when there is any), then the sidecar; a sidecar that exists means that both are done."""
    quarantine = join(output, QUARANTINE, f"{scanned.unit.name}.parquet")
    if scanned.quarantine:
        write_parquet(quarantine, pa.Table.from_pylist(scanned.quarantine, schema=QUARANTINE_SCHEMA))
    else:
        remove_file(quarantine)
    write_parquet(_sidecar(scanned.unit, output), _table(scanned))


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


def _table(scanned: Scanned) -> pa.Table:
    """The pairs, with the facts about the shard as the table's metadata."""
    about = {"version": SCAN_VERSION, "sha256": scanned.sha256, **asdict(scanned.unit)}
    schema = scan_schema().with_metadata({b"loupe": json.dumps(about).encode()})
    return pa.Table.from_pylist(scanned.pairs, schema=schema)
