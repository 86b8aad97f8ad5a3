"""Phase A: reads every pair of a raw shard once, decodes no pixels, and records facts and scores.

The result depends on no limit, so it stays valid when the recipe changes. `sidecar.py` stores it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import xxhash
from fsspec.implementations.local import LocalFileSystem

from data_filters import Facts, score
from data_filters.image import read_header
from data_filters.sample import BrokenSample, sample_from_members
from pipelines.common.files import filesystem
from pipelines.shards.reader import group, read_members, walk
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.unit import Unit
from pipelines.shards.witness import Witness, check_unchanged, witness

READ_AHEAD = 64 * 1024 * 1024  # bytes of samples held at once

# A pair or a quarantined sample by column name, as `pyarrow.Table.to_pylist` gives it; the columns are those of
# `sidecar.scan_schema`, which depend on the registered filters, or of `sidecar.QUARANTINE_SCHEMA`.
Row = dict[str, Any]


@dataclass
class Scanned:
    """The result of a scan: the readable pairs, and the samples that could not be read."""

    unit: Unit
    sha256: str
    pairs: list[Row] = field(default_factory=list)
    quarantine: list[Row] = field(default_factory=list)
    witness: Witness | None = None  # of the shard's file while it was read


def members_of(row: Row) -> list[Member]:
    """Where the members of a scanned pair lie in its raw shard."""
    return [Member(row["key"], m["extension"], m["offset"], m["length"]) for m in row["members"]]


def scan(unit: Unit) -> Scanned:
    """Read a raw shard once. Damage of any kind is recorded in `quarantine` and raises no error.

    Raises ShardChanged when somebody changes the shard meanwhile.
    """
    before = witness(unit.uri)
    with _local_copy(unit.uri) as path:
        with open(path, "rb") as file:
            scanned = Scanned(unit, hashlib.file_digest(file, "sha256").hexdigest(), witness=before)
        keys: set[str] = set()
        for batch in _batches(path, scanned):
            flat = [member for _, members in batch for member in members]
            data = iter(read_members(path, flat))
            for key, members in batch:
                contents = {member.extension: next(data) for member in members}
                try:
                    if key in keys:
                        raise BrokenSample("duplicate_key", f"{key} was there before in this shard")
                    scanned.pairs.append(_look(key, members, contents))
                    keys.add(key)
                except BrokenSample as broken:
                    scanned.quarantine.append(
                        _quarantined(unit, members[0].offset, key, broken.reason, broken)
                    )
    check_unchanged(unit.uri, before)
    return scanned


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


def _batches(path: str, scanned: Scanned) -> Iterator[list[tuple[str, list[Member]]]]:
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
        scanned.quarantine.append(
            _quarantined(scanned.unit, broken.offset, broken.key, "broken_shard", broken)
        )
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
