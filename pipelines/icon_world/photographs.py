"""Finds the photographs of a folder and divides them among the splits by a hash of their bytes."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.sample import IMAGE_EXTENSIONS, BrokenSample
from pipelines.common.files import filesystem
from pipelines.icon_world.vocabulary import SPLITS
from pipelines.shards.damage.recovery import Damage
from pipelines.shards.names import printable
from pipelines.shards.reader import survey
from pipelines.shards.tar_format import Sparse

_TENTHS = (*["train"] * 8, "test", "unseen")  # a photograph's split by its `content` modulo 10
_AT_ONCE = 4  # photographs that are read and decoded at the same time
_BATCH = 1000  # photographs that wait for that


class Photograph(NamedTuple):
    """Where the bytes of a photograph lie: `length` bytes from byte `offset` of the file or tar `uri`."""

    uri: str
    offset: int
    length: int
    content: int = 0  # what `_content` makes of the bytes, once they were read


@dataclass(frozen=True)
class Photographs:
    """Photographs of a folder, each content once and in the order of the hashes, whatever the files' names are."""

    sha256: str
    """Of the sha256 of every photograph, in their order: equal for folders with the same contents."""
    files: tuple[str, ...] = field(compare=False, repr=False)
    # Numbers, since an index of a million photographs goes to every worker process with every shard.
    places: Mapping[str, NDArray[np.int64]] = field(compare=False, repr=False)
    """Split → [photographs, 4]: place in `files`, offset and length in bytes, and the photograph's `content`."""
    unreadable: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """`NAME: REASON` of what was passed over: photographs that cannot be decoded, damaged parts of tars."""

    @property
    def counts(self) -> dict[str, int]:
        """Photographs per split."""
        return {split: len(places) for split, places in self.places.items()}

    def photograph(self, split: str, number: int) -> Photograph:
        """Photograph `number` of a split, from 0."""
        file, *rest = self.places[split][number].tolist()
        return Photograph(self.files[file], *rest)


def find_photographs(folder: str, side: int, splits: Collection[str]) -> Photographs:
    """Read every photograph directly in a folder or URI, and divide them: 8 in 10 for train, 1 for test, 1 for unseen.

    Photographs are files .jpg, .jpeg, .png and .webp, and members of these kinds in .tar files. Each is decoded once,
    as for scenes with sides of `side` pixels, so that rendering meets none that is broken; what cannot be read is
    passed over, since a shard of the web cannot be mended by hand. The memory is that of a few pictures and of the
    index.

    Raises InputError for a folder that is absent or holds no photograph, and where one of `splits` would get none.
    """
    found, unreadable = _candidates(folder)
    whole: dict[bytes, Photograph] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            looks = pool.map(partial(_look, side=side), [photograph for _, photograph in batch])
            for (name, photograph), digest in zip(batch, looks, strict=True):
                if isinstance(digest, bytes):
                    whole.setdefault(digest, photograph)
                else:
                    unreadable.append(f"{name}: {digest}")
    photographs = _divide(whole, unreadable)
    _require(folder, photographs, splits)
    return photographs


def read_photograph(photograph: Photograph, side: int) -> Image.Image:
    """Read a photograph in RGB; a larger one is reduced to a shorter side of at least 2 * `side` pixels.

    Raises InputError where the file was changed after the photograph was found.
    """
    try:
        data = _read(photograph)
        if _content(hashlib.sha256(data).digest()) == photograph.content:
            return _decode(data, side)
        reason = "these are other bytes"
    except OSError as error:
        reason = str(error)
    raise InputError(
        f"backgrounds: the photograph at byte {photograph.offset} of {photograph.uri} was changed while the world was "
        f"rendered ({reason}); leave the folder as it is, and render again into a new output"
    )


def _candidates(folder: str) -> tuple[list[tuple[str, Photograph]], list[str]]:
    """All (name, place) that may be photographs, by file and offset, and what of the tars cannot be read."""
    found: list[tuple[str, Photograph]] = []
    unreadable: list[str] = []
    for uri, size in _files(folder):
        name = printable(posixpath.basename(uri))
        if not uri.lower().endswith(".tar"):
            found.append((name, Photograph(uri, 0, size)))
            continue
        try:
            for entry in survey(uri):
                if isinstance(entry, Damage):
                    unreadable.append(f"{name}: {entry.reason} at byte {entry.offset}")
                elif entry.extension.lower() in IMAGE_EXTENSIONS:
                    member = f"{name}/{printable(entry.key)}.{entry.extension}"
                    if isinstance(entry, Sparse):
                        unreadable.append(f"{member}: a sparse file, whose bytes do not lie in one piece")
                    else:
                        found.append((member, Photograph(uri, entry.offset, entry.length)))
        except OSError as error:
            unreadable.append(f"{name}: {error}")
    return found, unreadable


def _files(folder: str) -> Iterator[tuple[str, int]]:
    """(URI, size in bytes) of the images and tars directly in a folder, by name; hidden ones are passed over."""
    fs, path = filesystem(folder)
    if not fs.isdir(path):
        there = "is a file" if fs.exists(path) else "does not exist"
        raise InputError(f"backgrounds {folder} {there}; give a folder with photographs")
    kinds = tuple(f".{extension}" for extension in (*IMAGE_EXTENSIONS, "tar"))
    for entry in sorted(fs.ls(path, detail=True), key=lambda entry: str(entry["name"])):
        name = posixpath.basename(entry["name"])
        is_file = entry["type"] == "file" or entry.get("islink")  # never a pipe, which would be waited for
        if is_file and name.lower().endswith(kinds) and not name.startswith("."):
            uri = fs.unstrip_protocol(entry["name"]) if "://" in folder else entry["name"]
            yield uri, int(entry["size"])


def _look(photograph: Photograph, side: int) -> bytes | str:
    """The sha256 of a photograph's bytes, or the reason why it cannot be read."""
    try:
        data = _read(photograph)
        _decode(data, side)
    except (BrokenSample, OSError) as error:
        return str(error)
    return hashlib.sha256(data).digest()


def _read(photograph: Photograph) -> bytes:
    fs, path = filesystem(photograph.uri)
    data: bytes = fs.cat_file(path, start=photograph.offset, end=photograph.offset + photograph.length)
    return data


def _decode(data: bytes, side: int) -> Image.Image:
    picture = decode(data, at_least=2 * side)
    factor = min(picture.size) // (2 * side)  # formats without a reduced scale of their own
    return picture.reduce(factor) if factor > 1 else picture


def _content(digest: bytes) -> int:
    """The first 8 bytes of a sha256 as a signed number, which numpy holds; modulo 10 it decides the split."""
    return int.from_bytes(digest[:8], "big", signed=True)


def _divide(whole: Mapping[bytes, Photograph], unreadable: list[str]) -> Photographs:
    """Divide photographs (by sha256) among the splits."""
    digests = sorted(whole)
    files = {uri: place for place, uri in enumerate(dict.fromkeys(whole[digest].uri for digest in digests))}
    rows: dict[str, list[tuple[int, int, int, int]]] = {split: [] for split in SPLITS}
    for digest in digests:
        uri, offset, length, _ = whole[digest]
        content = _content(digest)
        rows[_TENTHS[content % 10]].append((files[uri], offset, length, content))
    return Photographs(
        hashlib.sha256(b"".join(digests)).hexdigest(),
        tuple(files),
        {split: np.array(places, np.int64).reshape(-1, 4) for split, places in rows.items()},
        tuple(unreadable),
    )


def _require(folder: str, photographs: Photographs, splits: Collection[str]) -> None:
    """Raise InputError unless each of the splits has a photograph."""
    counts = photographs.counts
    total = sum(counts.values())
    if total == 0 and photographs.unreadable:
        raise InputError(
            f"backgrounds {folder} holds no photograph that can be read ({len(photographs.unreadable)} cannot, first "
            f"{photographs.unreadable[0]}); give a folder with whole ones"
        )
    if total == 0:
        raise InputError(
            f"backgrounds {folder} holds no photograph; read are the files .jpg, .jpeg, .png and .webp directly in it, "
            "and the members of these kinds in its .tar files; give a folder with such files"
        )
    for split in splits:
        if counts[split] == 0:
            way_out = "" if split == "train" else f", or set {split}_pairs to 0"
            raise InputError(
                f"backgrounds {folder} has {total} different photographs, none of them for the split {split} (a hash "
                f"of the bytes gives 8 in 10 to train, 1 to test, 1 to unseen); give more photographs{way_out}"
            )
