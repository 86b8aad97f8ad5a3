"""What a run records of each shard: its samples, its sha256, and a witness by which an unchanged file is known again.

A shard is its bytes. A committed shard has the sha256 of its manifest; that of a plain tar is taken here. A witness
(size, modification time and inode; far away the ETag) that is equal to the recorded one stands for reading the file
again. Plain tars far away are not read only for their sha256: there the witness itself tells other bytes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

from data_filters.errors import InputError
from pipelines.common.config import hash_of
from pipelines.shards.witness import ShardChanged, Witness, read_sha256, witness
from pretrain.data.shards.source import FoundShard, is_local

logger = logging.getLogger(__name__)

LONG = 8 * 2**30  # bytes: reading more than this at a start is said beforehand
THREADS = 8
REQUESTS = 16  # at a time, to a store far away

StoredWitness = dict[str, int | str]
"""A file's witness as JSON holds it, see `pipelines.shards.witness`."""


class ShardRecord(TypedDict):
    """A shard as RUN/config.json holds it; `sha256` is "" where it is unknown, `witness` absent in older records."""

    uri: str
    samples: int
    sha256: str
    witness: StoredWitness | None


def record_shards(
    shards: Sequence[FoundShard], known: Iterable[ShardRecord] = (), read_all: bool = False
) -> list[ShardRecord]:
    """Make the records of shards, in their order; `known` are those of an earlier start.

    A shard is read (by several threads) when its sha256 is unknown or its witness is not the recorded one, or, with
    `read_all`, in any case. Raises InputError when a tar is absent or is not what its manifest says.
    """
    earlier = {record["uri"]: record for record in known}
    witnesses = _witnesses(shards)
    hashes, to_read = list[str](), dict[int, FoundShard]()
    for number, shard in enumerate(shards):
        record = earlier.get(shard.uri)
        unchanged = record is not None and vouches(record, witnesses[number])
        hashes.append(shard.sha256 or (record["sha256"] if record and unchanged else ""))
        if read_all or _must_be_read(shard, record, unchanged):
            to_read[number] = shard
    size = sum(int(witnesses[number]["size"]) for number in to_read)
    if size > LONG:
        logger.warning("reading %d shards, %.0f GiB, to take their sha256", len(to_read), size / 2**30)
    for number, digest in zip(to_read, _read(list(to_read.values())), strict=True):
        expected = shards[number].sha256
        if expected and digest != expected:
            raise InputError(
                f"{shards[number].uri} has sha256 {digest}, its manifest says {expected}: it was changed after it was "
                "committed; restore it, or curate it again"
            )
        hashes[number] = digest
    return [
        {"uri": shard.uri, "samples": shard.samples, "sha256": digest, "witness": now}
        for shard, digest, now in zip(shards, hashes, witnesses, strict=True)
    ]


def _must_be_read(shard: FoundShard, record: ShardRecord | None, unchanged: bool) -> bool:
    """Whether the bytes of a shard have to be read to say whether they are those that are expected."""
    if not is_local(shard.uri):
        return False  # too costly; a committed shard is checked when it is fetched
    if shard.sha256:  # at the first start the size is trusted
        return record is not None and record["witness"] is not None and not unchanged
    return not unchanged or not (record and record["sha256"])


def _witnesses(shards: Sequence[FoundShard]) -> list[StoredWitness]:
    """The witness of each shard; several requests at a time go to stores far away."""
    remote = any(not is_local(shard.uri) for shard in shards)
    with ThreadPoolExecutor(REQUESTS if remote else 1) as pool:
        return list(pool.map(_witness, shards))


def _witness(shard: FoundShard) -> StoredWitness:
    """The witness of a shard. Raises InputError when the file is absent, or its size is not that of its manifest."""
    try:
        now = witness_of(shard.uri)
    except FileNotFoundError as error:
        raise InputError(
            f"{shard.uri} is not there, a manifest names it; restore it, or curate it again"
        ) from error
    if shard.size is not None and now["size"] != shard.size:
        raise InputError(
            f"{shard.uri} has {now['size']} bytes, its manifest says {shard.size}: it was changed after it was "
            "committed; restore it, or curate it again"
        )
    return now


def _read(shards: Sequence[FoundShard]) -> list[str]:
    """The sha256 of each shard, read by several threads (hashing releases the interpreter's lock)."""
    with ThreadPoolExecutor(max(1, min(THREADS, os.cpu_count() or 1))) as pool:
        return list(pool.map(lambda shard: sha256_of(shard.uri), shards))


def witness_of(uri: str) -> StoredWitness:
    """The witness of a file as JSON holds it. Raises FileNotFoundError when there is none."""
    return witness(uri).as_json()


def vouches(record: ShardRecord, now: StoredWitness) -> bool:
    """Whether the witness of now and the recorded one stand for equal bytes."""
    current = Witness.from_json(now)
    return current is not None and current.vouches(Witness.from_json(record["witness"]))


def version_of(now: StoredWitness | None) -> str:
    """16 hex digits that differ between two files under the same name, as far as their witnesses do."""
    return hash_of({"witness": now})


def sha256_of(uri: str) -> str:
    """The sha256 of a file. Raises InputError when it changes while it is read, OSError when it cannot be read."""
    try:
        return read_sha256(uri)[0]
    except ShardChanged as error:
        raise InputError(str(error)) from error
