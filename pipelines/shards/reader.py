"""Tar shards: find members by their headers alone, stream samples, read any member, write deterministically.

The tars are the only interface between curation and training, so this file knows no ray. Every URI goes
through fsspec. A shard `NAME.tar` has beside it `NAME.index.parquet` (key, extension, offset and length of
each member), and is committed when a file of `manifests/` names it: readers trust the manifests only.
"""

import os
from collections.abc import Iterable, Iterator
from typing import cast

import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from pipelines.common.files import filesystem
from pipelines.shards.storage import coalesce, index_name, open_at_random
from pipelines.shards.tar_format import BrokenShard, Member, parse_members
from pipelines.shards.writer import INDEX_SCHEMA


def walk(uri: str | os.PathLike[str]) -> Iterator[Member]:
    """Find every member `KEY.EXT` of a tar from its headers, in tar order; no data is read.

    KEY ends at the first dot of the base name, as in webdataset; folders, links, hidden files and files
    without an extension belong to no sample and are passed over. Understands ustar prefixes, GNU and pax long
    names, base-256 sizes.

    Raises BrokenShard at the first damage, after the members before it were yielded; also when the end marker
    is missing, since then nothing says that the tar is whole.
    """
    with open_at_random(uri) as (read, total):
        yield from parse_members(os.fspath(uri), read, total)


def iterate(uri: str | os.PathLike[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Stream the samples of a tar: (key, {extension: bytes}), neighbours with the same key together.

    On damage every sample that is known to be whole is yielded, then BrokenShard is raised.
    """
    with open_at_random(uri) as (read, total):
        for key, members in group(parse_members(os.fspath(uri), read, total)):
            yield key, {member.extension: read(member.offset, member.length) for member in members}


def group(members: Iterable[Member]) -> Iterator[tuple[str, list[Member]]]:
    """Neighbouring members with the same key; an extension that comes again starts a new sample.

    Damage (BrokenShard) is passed on after the last sample that is known to be whole, which is one that another
    sample follows.
    """
    here: list[Member] = []
    seen: set[str] = set()
    source = iter(members)
    while True:
        try:
            member = next(source, None)
        except BrokenShard as broken:
            if not here:
                raise
            if broken.key is None:  # nothing says that the sample before the damage had all its members
                raise BrokenShard(broken.uri, broken.offset, broken.reason, here[0].key) from broken
            if here[0].key != broken.key:
                yield here[0].key, here
            raise
        if here and (member is None or member.key != here[0].key or member.extension in seen):
            yield here[0].key, here
            here, seen = [], set()
        if member is None:
            return
        here.append(member)
        seen.add(member.extension)


def read_members(uri: str | os.PathLike[str], members: list[Member]) -> list[bytes]:
    """The bytes of any members, in the order asked for; neighbours are fetched with one request.

    Raises BrokenShard when the tar is shorter than a member says.
    """
    found: list[bytes] = [b""] * len(members)
    ranges = coalesce(members)
    if not ranges:
        return found
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        with open(path, "rb", buffering=0) as file:
            blocks = [os.pread(file.fileno(), stop - start, start) for start, stop, _ in ranges]
    else:
        blocks = cast(
            list[bytes],
            fs.cat_ranges([path] * len(ranges), [r[0] for r in ranges], [r[1] for r in ranges]),
        )
    for (start, _, positions), block in zip(ranges, blocks, strict=True):
        for position in positions:
            member = members[position]
            data = block[member.offset - start : member.offset - start + member.length]
            if len(data) != member.length:
                raise BrokenShard(os.fspath(uri), member.offset, "the tar ends inside a member", member.key)
            found[position] = bytes(data)
    return found


def read_index(tar_uri: str | os.PathLike[str]) -> list[Member]:
    """All members of a shard: from `NAME.index.parquet` beside the tar, else by a header walk."""
    fs, path = filesystem(tar_uri)
    index = index_name(path)
    if not fs.exists(index):
        return list(walk(tar_uri))
    with fs.open(index, "rb") as file:
        table = pq.read_table(file, schema=INDEX_SCHEMA)
    return list(map(Member, *(table.column(name).to_pylist() for name in INDEX_SCHEMA.names)))
