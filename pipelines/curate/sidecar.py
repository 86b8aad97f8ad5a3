"""Stores the result of a scan beside the output.

`OUTPUT/scan/NAME.parquet` (the sidecar) holds one row per readable pair: where its members lie, the image's header,
hashes, the scores of the filters. `OUTPUT/quarantine/NAME.parquet` holds what could not be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_filters import score_names
from pipelines.common.files import filesystem, join, remove_file, write_parquet
from pipelines.curate.scan import Scanned
from pipelines.shards.unit import Unit
from pipelines.shards.witness import Witness, read_sha256, witness

SCAN_VERSION = 2
SCAN = "scan"
QUARANTINE = "quarantine"
_DAMAGED = (pa.ArrowException, OSError)  # a cut file, pages of zeros

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
        ("estimated", pa.bool_()),  # whether `count` is an estimate
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
    write_parquet(sidecar_uri(scanned.unit.name, output), _table(scanned))


def load_scan(unit: Unit, output: str, *, verify: bool = False) -> Scanned | None:
    """Read the result of an earlier scan of the same bytes; None when there is none.

    With `verify` the shard is read to compare its sha256, whatever its witness says.
    """
    table = _read(sidecar_uri(unit.name, output))
    if table is None:
        return None
    about = _about(table.schema)
    if about.get("version") != SCAN_VERSION:
        return None
    if not set(scan_schema().names) <= set(table.column_names):  # a score was added since
        return None
    now = confirm(unit, about, verify)
    if now is None:
        return None
    bad = _read(join(output, QUARANTINE, f"{unit.name}.parquet")) if about.get("quarantined") else None
    quarantine = [] if bad is None else bad.to_pylist()
    if len(quarantine) != about.get(
        "quarantined"
    ):  # its file is gone or damaged: what it counted would be forgotten
        return None
    scanned = Scanned(unit, about["sha256"], table.to_pylist(), quarantine, now)
    renew_identity(unit, output, now)
    return scanned


# Any: a record that stands in a file; whatever it lacks counts as not equal.
def confirm(unit: Unit, stored: Mapping[str, Any], verify: bool) -> Witness | None:
    """The shard's witness now, where it still holds the bytes of the record `stored`; None where it does not.

    `stored` holds uri, size, sha256 and, where known, witness. Equal witnesses of one URI are proof enough unless
    `verify` is set; otherwise the shard is read.
    """
    now, before = witness(unit.uri), Witness.from_json(stored.get("witness"))
    if not verify and stored.get("uri") == unit.uri and before is not None and before.vouches(now):
        return now
    if stored.get("size") != now.size:
        return None
    sha256, now = read_sha256(unit.uri)
    return now if sha256 == stored.get("sha256") else None


# Any: what the sidecar says of the shard: version, name, uri, size, sha256, witness.
def read_identity(name: str, output: str) -> dict[str, Any]:
    """What the sidecar of a unit says of the shard that was scanned; empty where there is none."""
    fs, path = filesystem(sidecar_uri(name, output))
    if not fs.exists(path):
        return {}
    with fs.open(path, "rb") as file:
        try:
            return _about(pq.read_schema(file))
        except _DAMAGED:
            return {}


def renew_identity(unit: Unit, output: str, now: Witness) -> None:
    """Note in the sidecar that these bytes lie at the unit's URI under another witness; nothing where it says so."""
    about = read_identity(unit.name, output)
    renewed = {**about, **asdict(unit), "witness": now.as_json()}
    if about and renewed != about and (table := _read(sidecar_uri(unit.name, output))) is not None:
        metadata = {b"loupe": json.dumps(renewed).encode()}
        write_parquet(sidecar_uri(unit.name, output), table.replace_schema_metadata(metadata))


def first_quarantined(units: Iterable[Unit], output: str) -> str | None:
    """Return what is said of the first sample that is lost: its shard, and the reason with its text."""
    for unit in units:
        table = _read(join(output, QUARANTINE, f"{unit.name}.parquet"))
        for row in [] if table is None else table.to_pylist():
            if row["count"]:
                return f"{row['shard']}: {row['exception']}"
    return None


def sidecar_uri(name: str, output: str) -> str:
    """The URI of the sidecar of unit `name`."""
    return join(output, SCAN, f"{name}.parquet")


# Any: the metadata is JSON.
def _about(schema: pa.Schema) -> dict[str, Any]:
    about = json.loads((schema.metadata or {}).get(b"loupe", b"{}"))
    return about if isinstance(about, dict) else {}


def _read(uri: str) -> pa.Table | None:
    fs, path = filesystem(uri)
    if not fs.exists(path):
        return None
    with fs.open(path, "rb") as file:
        try:
            return pq.read_table(file)
        except _DAMAGED:  # by a crash of the machine: scanned again
            return None


def _table(scanned: Scanned) -> pa.Table:
    """The pairs, with the facts about the shard as the table's metadata."""
    about = {"version": SCAN_VERSION, "sha256": scanned.sha256, **asdict(scanned.unit)}
    about["quarantined"] = len(scanned.quarantine)
    if scanned.witness is not None:
        about["witness"] = scanned.witness.as_json()
    schema = scan_schema().with_metadata({b"loupe": json.dumps(about).encode()})
    return pa.Table.from_pylist(scanned.pairs, schema=schema)
