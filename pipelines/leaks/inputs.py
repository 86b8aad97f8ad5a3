"""Lists what goes into a leak index: samples of shards, pictures of folders with their captions, other indices."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from data_filters.errors import InputError
from data_filters.sample import CAPTION_EXTENSION, IMAGE_EXTENSIONS, METADATA_EXTENSION, members_read
from pipelines.common.files import filesystem
from pipelines.shards.listing import Kind, find_shards
from pipelines.shards.reader import join, read_members, walk
from pipelines.shards.tar_format import BrokenShard, Member

T = TypeVar("T")
BATCH = 256  # samples that a process reads and hashes at a time
_PICTURES = (*IMAGE_EXTENSIONS, "gif", "bmp", "tif", "tiff", "avif")
_CAPTIONS = (CAPTION_EXTENSION, METADATA_EXTENSION)


@dataclass(frozen=True)
class Found:
    """A sample as it was read: `source` is the URI of its tar or picture, `offset` and `length` those of the picture.

    `members` maps extensions to bytes, among them that of the picture where there is one.
    """

    source: str
    key: str
    offset: int
    length: int
    picture: bytes | None
    members: dict[str, bytes]


@dataclass(frozen=True)
class ShardBatch:
    """Some samples of one tar."""

    uri: str
    samples: tuple[tuple[Member, ...], ...]

    def read(self) -> Iterator[Found]:
        """Read the pictures and captions. Raises InputError when the tar ends before."""
        members = [member for sample in self.samples for member in sample]
        try:
            contents = iter(read_members(self.uri, members))
        except BrokenShard as broken:
            raise damaged(broken) from broken
        for sample in self.samples:
            parts = {member.extension: (member, next(contents)) for member in sample}
            image = _picture_among(parts)
            place = None if image is None else parts[image][0]
            yield Found(
                self.uri,
                sample[0].key,
                -1 if place is None else place.offset,
                0 if place is None else place.length,
                None if image is None else parts[image][1],
                {name: content for name, (_, content) in parts.items()},
            )


@dataclass(frozen=True)
class FileBatch:
    """Some pictures of a folder, by URI, each with the files of its caption: extension → URI."""

    pictures: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

    def read(self) -> Iterator[Found]:
        """Read the pictures and captions."""
        for uri, captions in self.pictures:
            data = _read(uri)
            key = posixpath.splitext(posixpath.basename(uri))[0]
            yield Found(uri, key, 0, len(data), data, {name: _read(path) for name, path in captions})


Batch = ShardBatch | FileBatch


def damaged(broken: BrokenShard) -> InputError:
    """The error for a tar that cannot be read whole: an index that lacks pictures would let them through."""
    return InputError(
        f"{broken.uri} is damaged at byte {broken.offset}: {broken.reason}; an index needs every picture; "
        "fetch the shard again"
    )


def list_batches(uri: str) -> list[Batch]:
    """The samples of an input: a folder of shards or of pictures (searched with its subfolders), a tar, a picture.

    Raises InputError in one line where there are none, or a tar is damaged.
    """
    listing = find_shards(uri)
    if listing.shards:
        return [batch for shard in listing.shards for batch in _shard_batches(shard.uri)]
    if listing.kind in _NOTHING:
        raise InputError(f"input {uri} {_NOTHING[listing.kind]}")
    batches = _file_batches(uri)
    if not batches:
        raise InputError(
            f"input {uri} holds neither shards (*.tar) nor pictures ({', '.join(_PICTURES)}); give a folder of either"
        )
    return batches


_NOTHING = {
    Kind.MISSING: "does not exist; give a folder of shards or pictures, a .tar, or another index",
    Kind.COMMITTED: "has manifests that name no shard; let `loupe curate` finish there",
    Kind.PATTERN: "matches no .tar file; check the pattern",
}


def _shard_batches(uri: str) -> Iterator[ShardBatch]:
    try:
        members = list(walk(uri))
    except BrokenShard as broken:
        raise damaged(broken) from broken
    samples = []
    for places in join(members):
        sample = [members[place] for place in places]
        names = [member.extension for member in sample]
        needed = {*members_read(names), _picture_among(names)}
        samples.append(tuple(member for member in sample if member.extension in needed))
    yield from (ShardBatch(uri, tuple(some)) for some in _cut([s for s in samples if s]))


def _picture_among(extensions: Iterable[str]) -> str | None:
    """The picture among a sample's members: as curation finds it, else one of the other formats."""
    by_lower = {name.lower(): name for name in reversed(list(extensions))}
    return next((by_lower[wanted] for wanted in _PICTURES if wanted in by_lower), None)


def _file_batches(uri: str) -> list[Batch]:
    fs, path = filesystem(uri)
    paths = fs.find(path) if fs.isdir(path) else [path]
    shown = sorted(p for p in paths if not posixpath.basename(p).startswith("."))
    captions: dict[str, list[tuple[str, str]]] = {}
    for file in shown:
        stem, extension = _split(file)
        if extension in _CAPTIONS:
            captions.setdefault(stem, []).append((extension, _name(fs, uri, file)))
    pictures = [
        (_name(fs, uri, file), tuple(captions.get(_split(file)[0], ())))
        for file in shown
        if _split(file)[1] in _PICTURES
    ]
    return [FileBatch(tuple(some)) for some in _cut(pictures)]


def _cut(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def _split(path: str) -> tuple[str, str]:
    stem, extension = posixpath.splitext(path)
    return stem, extension[1:].lower()


def _name(fs: AbstractFileSystem, uri: str, path: str) -> str:
    return fs.unstrip_protocol(path) if "://" in uri else path


def _read(uri: str) -> bytes:
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        with open(path, "rb") as file:
            return file.read()
    data: bytes = fs.cat_file(path)
    return data


def is_index(uri: str) -> bool:
    """Whether an input is a Parquet file, which only an index can be."""
    fs, path = filesystem(uri)
    if not fs.isfile(path) or _split(path)[1] in (*_PICTURES, "tar"):
        return False
    with fs.open(path, "rb") as file:
        return file.read(4) == b"PAR1"
