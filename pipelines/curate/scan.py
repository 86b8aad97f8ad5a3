"""Phase A: reads every pair of a raw shard once, decodes no pixels, and records facts and scores.

The result depends on no limit, so it stays valid when the recipe changes. `scores/storage.py` stores it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from data_filters.facts import Facts
from data_filters.image import ImageHeader, read_header
from data_filters.sample import (
    BrokenSample,
    image_member,
    members_read,
    parts_from_members,
    what_is_missing,
)
from pipelines.common.files import filesystem
from pipelines.common.garbage import rare_collections
from pipelines.curate.quarantine import WITHOUT_SPARSE, Row, damage_rows, quarantined, sparse_rows
from pipelines.curate.scores.facts import FACTS, FactsColumns, members_at
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.measured import Measured
from pipelines.curate.scores.storage import QUARANTINE_SCHEMA, Scores
from pipelines.shards.batches import batches, length_of, parts_of
from pipelines.shards.damage.contents import sort_out
from pipelines.shards.names import fault_of_name
from pipelines.shards.reader import read_members, survey
from pipelines.shards.tar_format import BrokenShard, Member, Sparse
from pipelines.shards.unit import Unit
from pipelines.shards.witness import Witness, check_unchanged, witness

MAX_PART = 256 * 1024 * 1024  # bytes of an image, a caption or metadata


def scan(unit: Unit, groups: Sequence[Group] = ()) -> Scores:
    """Read a raw shard once: the facts of its pairs, and the scores of these groups. Damage raises no error.

    Members of one key belong together wherever they stand in the shard. Of a member that nothing needs only the place
    is taken down. Raises ShardChanged when somebody changes the shard meanwhile.
    """
    started = time.perf_counter()
    before = witness(unit.uri)
    try:
        with rare_collections():
            scores = _scan(unit, groups, before)
    except BrokenShard:  # it was longer when its headers were read
        check_unchanged(unit.uri, before)
        raise
    check_unchanged(unit.uri, before)
    return _timed(scores, started)


def _timed(scores: Scores, started: float) -> Scores:
    """The scores with what the scan took beside its groups: reading, headers, hashes."""
    rest = time.perf_counter() - started - sum(scores.seconds.values())
    return replace(scores, seconds={FACTS: rest, **scores.seconds})


def _scan(unit: Unit, groups: Sequence[Group], before: Witness) -> Scores:
    """`scan` of a shard that nobody changes."""
    facts, measured = FactsColumns(), Measured(groups)
    quarantine: list[Row] = []
    with _local_copy(unit.uri) as path:
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        contents = sort_out(survey(path))
        keys: set[str] = set()
        both = ((members, _needed(members)) for members in contents.samples)
        for batch in batches(both, lambda pair: length_of(pair[1])):
            data = iter(read_members(path, [member for _, needed in batch for member in needed]))
            for members, used in batch:
                key = members[0].key
                parts = {member.extension: next(data) for member in used}
                try:
                    if key in keys:
                        raise BrokenSample("duplicate_key", f"{key} was there before in this shard")
                    pair = _look(key, members, parts, contents.sparse.get(key, ()))
                except BrokenSample as broken:
                    row = quarantined(unit, members[0].offset, key, broken.reason, broken)
                    quarantine.append(row)
                    continue
                keys.add(key)
                facts.add(members, pair.image, pair.data, pair.caption)
                measured.add(pair)
            measured.end_batch()  # no pair's bytes are held longer than their batch
        quarantine += sparse_rows(unit, contents)
        quarantine += damage_rows(unit, contents, os.path.getsize(path))
    tables = {FACTS: facts.table(), **measured.tables()}
    return Scores(
        unit, sha256, tables, pa.Table.from_pylist(quarantine, QUARANTINE_SCHEMA), before, measured.seconds
    )


def rescan(scores: Scores, groups: Sequence[Group]) -> Scores:
    """Compute the scores of these groups for the pairs whose facts are known; images are read where a group needs them.

    Raises ShardChanged when the shard is no longer the file whose facts these are.
    """
    started = time.perf_counter()
    unit, measured = scores.unit, Measured(groups)
    with_images = any(getattr(group, "reads_image", False) for group in groups)
    headers = zip(
        *(scores.facts.column(name).to_pylist() for name in ("width", "height", "format")), strict=True
    )
    sizes = iter(scores.facts.column("image_bytes").to_pylist())
    samples = members_at(scores.facts, np.arange(scores.facts.num_rows))
    for batch in batches(samples, lambda members: length_of(_read_again(members, with_images))):
        needed = [_read_again(members, with_images) for members in batch]
        data = iter(read_members(unit.uri, [member for members in needed for member in members]))
        for used in needed:
            parts = {member.extension: next(data) for member in used}
            image, caption, metadata = parts_from_members(parts)
            header, size = ImageHeader(*next(headers)), next(sizes)
            measured.add(Facts(header, caption or "", image or b"", metadata or {}, size))
        measured.end_batch()
    if scores.witness is not None:
        check_unchanged(unit.uri, scores.witness)
    tables = {**scores.tables, **measured.tables()}
    return _timed(replace(scores, tables=tables, seconds=measured.seconds), started)


def _read_again(members: list[Member], with_image: bool) -> list[Member]:
    """The members of a pair that groups are computed from: caption and metadata, and the image where it is needed."""
    image = image_member(dict.fromkeys(member.extension for member in members))
    return [member for member in parts_of(members) if with_image or member.extension != image]


def _needed(members: list[Member]) -> list[Member]:
    """The members whose content makes the pair; none when one is too large."""
    needed = parts_of(members)
    for member in needed:
        if member.length > MAX_PART:
            return []
    return needed


def _look(key: str, members: list[Member], parts: dict[str, bytes], sparse: Sequence[Sparse]) -> Facts:
    """Read a pair from its parts. Raises BrokenSample."""
    names = [member.extension for member in members]
    if fault_of_name(f"{key}.{'.'.join(names)}") is not None:
        _raise_fault(key, names)
    if len(parts) < len(members) or sparse:
        _check_parts(key, members, sparse)
    image, caption, metadata = parts_from_members(parts)
    if image is None:
        raise BrokenSample("no_image", what_is_missing(key, names, metadata))
    if caption is None:
        raise BrokenSample("no_caption", what_is_missing(key, names, metadata))
    return Facts(read_header(image), caption, image, metadata or {}, len(image))


def _raise_fault(key: str, names: Sequence[str]) -> None:
    """Raise BrokenSample for the first name that is unsafe."""
    for name in names:
        fault = fault_of_name(f"{key}.{name}")
        if fault is not None:
            raise BrokenSample("unsafe_name", f"{key}.{name} has {fault}; rename it")


def _check_parts(key: str, members: Sequence[Member], sparse: Sequence[Sparse]) -> None:
    """Raise BrokenSample where a part is too large, or stored sparse."""
    names = [member.extension for member in members]
    read = members_read(names)
    for member in members:
        if member.extension in read and member.length > MAX_PART:
            raise BrokenSample("too_large", f"{key}.{member.extension} has {member.length} bytes")
    sparse_names = members_read([*names, *(member.extension for member in sparse)]) - read
    if sparse_names:
        raise BrokenSample("sparse_member", f"{key}.{min(sparse_names)} is stored sparse; {WITHOUT_SPARSE}")


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
