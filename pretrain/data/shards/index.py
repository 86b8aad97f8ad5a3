"""The index of one shard in memory, and the reading of single samples by it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_filters.sample import (
    CAPTION_EXTENSION,
    METADATA_EXTENSION,
    Sample,
    image_member,
    sample_from_members,
)
from pipelines.shards.reader import group, read_index
from pipelines.shards.tar_format import Member

MAX_GAP = 64 * 1024  # bytes: members nearer than this are read with one call


@dataclass(frozen=True)
class ShardIndex:
    """Key and members of each row of a shard, in tar order; about 100 bytes per sample."""

    keys: list[str]
    extensions: list[tuple[str, ...]]  # per sample, of the members that training reads
    first: np.ndarray  # [samples] where a sample's members begin in the arrays below
    offsets: np.ndarray  # [members] bytes
    lengths: np.ndarray  # [members] bytes

    def members(self, row: int) -> list[Member]:
        """The members that training reads of the sample at `row`: image, caption, metadata."""
        key, first = self.keys[row], int(self.first[row])
        return [
            Member(key, extension, int(self.offsets[first + number]), int(self.lengths[first + number]))
            for number, extension in enumerate(self.extensions[row])
        ]


def load_index(uri: str) -> ShardIndex:
    """Load the index of the tar at `uri` from the file beside it, else from the headers in the tar."""
    keys: list[str] = []
    extensions: list[tuple[str, ...]] = []
    first: list[int] = []
    offsets: list[int] = []
    lengths: list[int] = []
    known: dict[tuple[str, ...], tuple[str, ...]] = {}  # thousands of samples share one tuple
    for key, members in group(read_index(uri)):
        used = _used([member.extension for member in members])
        kept = [member for member in members if member.extension in used]
        names = tuple(sys.intern(member.extension) for member in kept)
        keys.append(key)
        extensions.append(known.setdefault(names, names))
        first.append(len(offsets))
        offsets += [member.offset for member in kept]
        lengths += [member.length for member in kept]
    return ShardIndex(keys, extensions, *(np.array(column, np.int64) for column in (first, offsets, lengths)))


def read_sample(path: Path | str, index: ShardIndex, row: int) -> Sample:
    """Read the sample at `row` of the tar at a local `path`. Raises ValueError or OSError when it cannot be read."""
    members = index.members(row)
    if not members:
        return Sample(index.keys[row], None, None, None, None)
    start = min(member.offset for member in members)
    stop = max(member.offset + member.length for member in members)
    file = os.open(path, os.O_RDONLY)
    try:
        if stop - start <= sum(member.length for member in members) + MAX_GAP * len(members):
            block = os.pread(file, stop - start, start)
            parts = [
                block[member.offset - start : member.offset - start + member.length] for member in members
            ]
        else:
            parts = [os.pread(file, member.length, member.offset) for member in members]
    finally:
        os.close(file)
    for member, part in zip(members, parts, strict=True):
        if len(part) != member.length:
            raise ValueError(f"{path} ends inside a member of {member.key}")
    return sample_from_members(
        index.keys[row], {member.extension: part for member, part in zip(members, parts, strict=True)}
    )


def _used(extensions: list[str]) -> set[str]:
    text = {name for name in extensions if name.lower() in (CAPTION_EXTENSION, METADATA_EXTENSION)}
    image = image_member(dict.fromkeys(extensions))
    return text if image is None else text | {image}
