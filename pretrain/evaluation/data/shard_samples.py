"""The samples of a shard, damaged ones included: members of a key wherever they stand, and what lies behind a damage.

Places are read first, from the headers alone; contents follow in the order of the tar, a limited number of bytes at a
time.
"""

from __future__ import annotations

import logging
import posixpath
from collections import Counter
from collections.abc import Iterator

from data_filters.sample import members_read, metadata_member
from pipelines.common.files import filesystem
from pipelines.shards.batches import batches, length_of, parts_of
from pipelines.shards.damage.contents import Contents, sort_out
from pipelines.shards.damage.losses import count_lost
from pipelines.shards.reader import read_index, read_members, survey
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.unit import Unit

logger = logging.getLogger(__name__)

READ_AHEAD = 16 * 1024 * 1024  # bytes of samples held at once


def read_samples(shard: str, skipped: Counter[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the samples of a shard: (key, {extension: bytes}) of what makes image, caption and metadata.

    Samples are in the order of their first members. `skipped` takes the number of those that a damage has cost
    (`broken_shard`; an estimate where nothing says how many), and of those stored sparse (`sparse_member`).
    """
    contents = sort_out(survey(shard))
    _count_losses(shard, contents, skipped)
    whole = _without_sparse(contents, skipped)
    for batch in batches(whole, lambda members: length_of(parts_of(members)), READ_AHEAD):
        needed = [parts_of(members) for members in batch]
        try:
            data = iter(read_members(shard, [member for members in needed for member in members]))
        except BrokenShard as broken:  # somebody shortened the file after its headers were read
            logger.warning("%s; %d samples are left out", broken, len(batch))
            skipped["broken_shard"] += len(batch)
            continue
        for members, used in zip(batch, needed, strict=True):
            yield members[0].key, {member.extension: next(data) for member in used}


def members_of(shard: str) -> list[Member]:
    """The members of the samples that `read_samples` yields, from the shard's index where that can be read."""
    try:
        return read_index(shard)
    except (ValueError, OSError):  # BrokenShard, and what pyarrow raises, are of these
        return _found_members(shard)


def read_metadata(shard: str) -> list[bytes]:
    """The JSON of a shard's samples, where they have any; nothing else is read."""
    try:
        return read_members(shard, _json_of(members_of(shard)))
    except (ValueError, OSError):  # the index is not that of this tar
        return read_members(shard, _json_of(_found_members(shard)))


def _found_members(shard: str) -> list[Member]:
    return [member for members in sort_out(survey(shard)).samples for member in members]


def _json_of(members: list[Member]) -> list[Member]:
    return [member for member in members if metadata_member([member.extension])]


def _count_losses(shard: str, contents: Contents, skipped: Counter[str]) -> None:
    if not contents.hits:
        return
    fs, path = filesystem(shard)
    unit = Unit(posixpath.basename(path).removesuffix(".tar"), shard, int(fs.size(path)))
    before = 0
    for hit in contents.hits:
        loss = count_lost(unit, contents, hit, unit.size, before)
        before += loss.count
        logger.warning("%s: %s at byte %d; %s", shard, hit.damage.reason, hit.damage.offset, loss.basis)
        if loss.count:
            skipped["broken_shard"] += loss.count


def _without_sparse(contents: Contents, skipped: Counter[str]) -> list[list[Member]]:
    """The samples but for those of which an image, a caption or metadata is stored sparse, which are counted."""
    if not contents.sparse:
        return contents.samples
    whole = []
    for members in contents.samples:
        names = {member.extension for member in members}
        sparse = {member.extension for member in contents.sparse.get(members[0].key, [])}
        if members_read(names | sparse) <= names:
            whole.append(members)
    keys = {members[0].key for members in contents.samples}
    alone = [
        key
        for key, members in contents.sparse.items()
        if key not in keys and members_read(m.extension for m in members)
    ]
    left_out = len(contents.samples) - len(whole) + len(alone)
    if left_out:
        skipped["sparse_member"] += left_out
    return whole
