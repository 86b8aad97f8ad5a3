"""Reads tar shards: finds members by their headers alone, streams samples, reads any member.

The tars are the only interface between curation and training, so this module does not import ray. A URI is anything
that fsspec opens. Beside a shard `NAME.tar` lies `NAME.index.parquet` (key, extension, offset and length of each
member). A shard is committed when a file of `manifests/` names it; readers trust the manifests only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from fsspec.implementations.local import LocalFileSystem

from pipelines.common.files import Uri, filesystem, read_parquet
from pipelines.shards.damage.recovery import Entry, survey_members
from pipelines.shards.storage import coalesce, index_name, open_at_random, read_range
from pipelines.shards.tar_format import BrokenShard, Member, Read, parse_members
from pipelines.shards.writer import INDEX_SCHEMA


def walk(uri: Uri) -> Iterator[Member]:
    """Find every member `KEY.EXT` of a tar from its headers, in tar order; no data is read.

    KEY ends at the first dot of the base name, as in webdataset. A hard link stands for the file that it names.
    Folders, symbolic links, sparse files, hidden files and files without an extension are passed over. Reads ustar
    prefixes, GNU and pax long names, base-256 sizes.

    Raises BrokenShard at the first damage, after the members before it were yielded, and also when the end marker is
    missing, since the tar may then be incomplete.
    """
    with open_at_random(uri) as (read, total):
        yield from _members(os.fspath(uri), read, total)


def iterate(uri: Uri) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Stream the samples of a tar: (key, {extension: bytes}), neighbours with the same key together.

    On damage every sample that is known to be complete is yielded, then BrokenShard is raised.
    """
    with open_at_random(uri) as (read, total):
        for key, members in group(_members(os.fspath(uri), read, total)):
            yield key, {member.extension: read(member.offset, member.length) for member in members}


def survey(uri: Uri) -> Iterator[Entry]:
    """Yield the members of a raw tar and its damages, in tar order; no data is read, and no damage raises an error."""
    with open_at_random(uri) as (read, total):
        yield from survey_members(os.fspath(uri), read, total)


def _members(uri: str, read: Read, total: int) -> Iterator[Member]:
    return (member for member in parse_members(uri, read, total) if isinstance(member, Member))


def group(members: Iterable[Member]) -> Iterator[tuple[str, list[Member]]]:
    """Group neighbouring members with the same key; an extension that comes again starts a new sample.

    Damage (BrokenShard) is passed on after the last sample that is known to be complete, which is one that another
    sample follows.
    """
    sample: list[Member] = []
    seen: set[str] = set()
    source = iter(members)
    while True:
        try:
            member = next(source, None)
        except BrokenShard as broken:
            if not sample:
                raise
            if broken.key is None:  # the sample before the damage may lack members
                raise BrokenShard(broken.uri, broken.offset, broken.reason, sample[0].key) from broken
            if sample[0].key != broken.key:
                yield sample[0].key, sample
            raise
        if sample and (member is None or member.key != sample[0].key or member.extension in seen):
            yield sample[0].key, sample
            sample, seen = [], set()
        if member is None:
            return
        sample.append(member)
        seen.add(member.extension)


def join(members: list[Member]) -> list[list[int]]:
    """Join members of one key wherever they stand in a tar: the positions in `members` of each sample's members.

    Samples are in the order of their first members. Neighbours of one key belong together; they join the last sample of
    that key before them, unless that has one of their extensions already: then they are another sample.
    """
    samples: list[list[int]] = []
    extensions: list[set[str]] = []
    last_of: dict[str, int] = {}

    def end_run(key: str, positions: range, names: set[str]) -> None:
        number = last_of.get(key)
        if number is None or not extensions[number].isdisjoint(names):
            last_of[key] = len(samples)
            samples.append(list(positions))
            extensions.append(names)
        else:
            samples[number] += positions
            extensions[number] |= names

    start, run_key, seen = 0, "", set[str]()  # the neighbours of one key that are looked at
    for position, (key, extension, _, _) in enumerate(members):
        if key != run_key or extension in seen:
            if seen:
                end_run(run_key, range(start, position), seen)
            start, run_key, seen = position, key, {extension}
        else:
            seen.add(extension)
    if seen:
        end_run(run_key, range(start, len(members)), seen)
    return samples


def read_members(uri: Uri, members: list[Member]) -> list[bytes]:
    """Read the bytes of any members, in the order given; neighbours are fetched with one request.

    Raises BrokenShard when the tar is shorter than a member says.
    """
    contents: list[bytes] = [b""] * len(members)
    ranges = coalesce(members)
    if not ranges:
        return contents
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        with open(path, "rb", buffering=0) as file:
            blocks = [read_range(file.fileno(), start, stop) for start, stop, _ in ranges]
    else:
        blocks = fs.cat_ranges([path] * len(ranges), [r[0] for r in ranges], [r[1] for r in ranges])
    for (start, _, positions), block in zip(ranges, blocks, strict=True):
        for position in positions:
            key, _, offset, length = members[position]
            data = block[offset - start : offset - start + length]
            if len(data) != length:
                raise BrokenShard(os.fspath(uri), offset, "the tar ends inside a member", key)
            contents[position] = bytes(data)
    return contents


def read_index(tar_uri: Uri) -> list[Member]:
    """List all members of a shard, from `NAME.index.parquet` beside the tar, else from the tar's headers."""
    table = read_parquet(index_name(os.fspath(tar_uri)))
    if table is None:
        return list(walk(tar_uri))
    return list(map(Member, *(table.column(name).to_pylist() for name in INDEX_SCHEMA.names)))
