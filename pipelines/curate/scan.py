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
from data_filters.sample import BrokenSample, members_read, sample_from_members, what_is_missing
from pipelines.common.files import filesystem
from pipelines.shards.batches import batches, length_of, parts_of
from pipelines.shards.damage.contents import Contents, sort_out
from pipelines.shards.damage.losses import count_lost
from pipelines.shards.names import fault_of_name, printable
from pipelines.shards.reader import read_members, survey
from pipelines.shards.tar_format import BrokenShard, Member, Sparse
from pipelines.shards.unit import Unit
from pipelines.shards.witness import Witness, check_unchanged, witness

MAX_PART = 256 * 1024 * 1024  # bytes of an image, a caption or metadata
MAX_TEXT = 500  # characters of an error's text that are kept
_WITHOUT_SPARSE = "write the tar without --sparse (-S)"

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

    Members of one key belong together wherever they stand in the shard. Of a member that nothing needs only the place
    is taken down. Raises ShardChanged when somebody changes the shard meanwhile.
    """
    before = witness(unit.uri)
    try:
        scanned = _scan(unit, before)
    except BrokenShard:  # it was longer when its headers were read
        check_unchanged(unit.uri, before)
        raise
    check_unchanged(unit.uri, before)
    return scanned


def _scan(unit: Unit, before: Witness) -> Scanned:
    """`scan` of a shard that nobody changes."""
    with _local_copy(unit.uri) as path:
        with open(path, "rb") as file:
            scanned = Scanned(unit, hashlib.file_digest(file, "sha256").hexdigest(), witness=before)
        contents = sort_out(survey(path))
        keys: set[str] = set()
        for batch in batches(contents.samples, lambda members: length_of(_needed(members))):
            needed = [_needed(members) for members in batch]
            data = iter(read_members(path, [member for members in needed for member in members]))
            for members, used in zip(batch, needed, strict=True):
                key = members[0].key
                parts = {member.extension: next(data) for member in used}
                try:
                    if key in keys:
                        raise BrokenSample("duplicate_key", f"{key} was there before in this shard")
                    scanned.pairs.append(_look(key, members, parts, contents.sparse.get(key, [])))
                    keys.add(key)
                except BrokenSample as broken:
                    scanned.quarantine.append(
                        _quarantined(unit, members[0].offset, key, broken.reason, broken)
                    )
        scanned.quarantine += _sparse_rows(unit, contents)
        scanned.quarantine += _damage_rows(unit, contents, os.path.getsize(path))
    return scanned


def _needed(members: list[Member]) -> list[Member]:
    """The members whose content makes the pair; none when one is too large."""
    needed = parts_of(members)
    return needed if all(member.length <= MAX_PART for member in needed) else []


def _look(key: str, members: list[Member], parts: dict[str, bytes], sparse: list[Sparse]) -> Row:
    """Read a pair from its parts and make its row. Raises BrokenSample."""
    names = [member.extension for member in members]
    for name in names:
        fault = fault_of_name(f"{key}.{name}")
        if fault is not None:
            raise BrokenSample("unsafe_name", f"{key}.{name} has {fault}; rename it")
    read = members_read(names)
    for member in members:
        if member.extension in read and member.length > MAX_PART:
            raise BrokenSample("too_large", f"{key}.{member.extension} has {member.length} bytes")
    sparse_names = members_read([*names, *(member.extension for member in sparse)]) - read
    if sparse_names:
        raise BrokenSample("sparse_member", f"{key}.{min(sparse_names)} is stored sparse; {_WITHOUT_SPARSE}")
    sample = sample_from_members(key, parts)
    if sample.image is None:
        raise BrokenSample("no_image", what_is_missing(key, names, sample.metadata))
    if sample.caption is None:
        raise BrokenSample("no_caption", what_is_missing(key, names, sample.metadata))
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


def _sparse_rows(unit: Unit, contents: Contents) -> Iterator[Row]:
    """Rows of sparse members: of those left out of a pair, which count as no sample, and of those that stood alone."""
    keys = {members[0].key for members in contents.samples}
    for key, members in contents.sparse.items():
        names = [member.extension for member in members]
        if key in keys and members_read(names):
            continue  # its sample is set aside
        error = BrokenSample("sparse_member", f"{key}.{', '.join(names)} left out; {_WITHOUT_SPARSE}")
        yield _quarantined(unit, members[0].offset, key, error.reason, error, int(key not in keys))


def _damage_rows(unit: Unit, contents: Contents, total: int) -> Iterator[Row]:
    """A row for each damage of the tar with the number of samples that it has cost: 0 where none may have been lost."""
    before = 0
    for hit in contents.hits:
        loss = count_lost(unit, contents, hit, total, before)
        before += loss.count
        error = BrokenShard(unit.shard, hit.damage.offset, hit.damage.reason)
        key = hit.keys[0] if hit.keys else None
        row = _quarantined(unit, hit.damage.offset, key, "broken_shard", error, loss.count, loss.basis)
        yield {**row, "estimated": loss.estimated}


def _quarantined(
    unit: Unit,
    offset: int,
    key: str | None,
    reason: str,
    error: Exception,
    count: int = 1,
    remark: str = "",
) -> Row:
    # A broken shard's own text holds the path of the local copy, which differs from run to run.
    text = f"{error.reason} at byte {error.offset}" if isinstance(error, BrokenShard) else str(error)
    text = f"{type(error).__name__}: {text}" + (f"; {remark}" if remark else "")
    return {
        "shard": unit.shard,
        "offset": offset,
        "key": None if key is None else printable(key),
        "stage": "scan",
        "reason": reason,
        "exception": printable(text[:MAX_TEXT]),
        "count": count,
        "estimated": False,
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
