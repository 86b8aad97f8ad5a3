"""Reads the tar format: members from the raw 512-byte headers, without reading data.

About three times as fast as the standard library's reader, which builds an object of twenty fields per member.
Source: POSIX.1-2017, pax Interchange Format; GNU tar manual, "Basic Tar Format" and "Storing Sparse Files".
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple

from pipelines.shards.foreign_formats import foreign_format
from pipelines.shards.names import split_name

BLOCK = 512
MAX_EXTENDED_HEADER = 1024 * 1024  # bytes: a longer "long name" is a corrupt header, not a name
NO_END_MARKER = "the tar ends without its end marker"

_ZERO_BLOCK = bytes(BLOCK)
_OCTAL = frozenset(b"01234567")
_REGULAR = (b"0", b"\0", b"7")
_HARD_LINK = b"1"
_SPARSE = b"S"
# Links, devices, folders: no data, whatever their size field is.
_NO_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")

Places = dict[str, tuple[int, int]]  # offset and length of every regular file by name, for hard links
Read = Callable[[int, int], bytes]  # (offset, length) → bytes, fewer at the end of the file


class Member(NamedTuple):
    """A file in a tar: `offset` is the first byte of its data, `length` the number of its bytes."""

    key: str
    extension: str
    offset: int
    length: int


class Sparse(NamedTuple):
    """A file in a tar whose bytes do not lie there as they are, since its holes were left out; `offset`: its header."""

    key: str
    extension: str
    offset: int


class BrokenShard(ValueError):
    """A tar cannot be read beyond `offset` (in bytes); what comes before it is intact.

    `key` is the sample whose member is cut, None when the damage lies between members. `cut`: what is missing was
    behind the file's last byte.
    """

    def __init__(self, uri: str, offset: int, reason: str, key: str | None = None, cut: bool = False) -> None:
        super().__init__(uri, offset, reason, key, cut)
        self.uri = uri
        self.offset = offset
        self.reason = reason
        self.key = key
        self.cut = cut

    def __str__(self) -> str:
        return f"{self.uri}: {self.reason} at byte {self.offset}"


def parse_members(
    uri: str, read: Read, total: int, start: int = 0, places: Places | None = None
) -> Generator[Member | Sparse, None, int]:
    """Yield the members that the headers of a tar of `total` bytes name, from the header at byte `start` on.

    A hard link is yielded with the place of the file that it names, when that came before; `places` holds those of an
    earlier part of the tar and takes those of this one. Returns the offset of the end marker.

    Raises BrokenShard, see `pipelines.shards.reader.walk`.
    """
    offset = start
    extended = none = _Extended()
    places = {} if places is None else places
    while True:
        block = read(offset, BLOCK)
        if block == _ZERO_BLOCK:
            return offset
        if len(block) < BLOCK:
            reason = "the tar ends inside a header" if block else NO_END_MARKER
            foreign = foreign_format(block) if offset == 0 else None
            raise BrokenShard(uri, min(offset, total), foreign or reason, cut=foreign is None)
        size = checked_size(block)
        if size is None:
            reason = (foreign_format(block) if offset == 0 else None) or "no tar header"
            raise BrokenShard(uri, offset, reason)
        kind = block[156:157]
        data = offset + BLOCK
        if kind in (b"L", b"K", b"x"):
            if size > MAX_EXTENDED_HEADER or data + size > total:
                raise BrokenShard(uri, offset, "the tar ends inside a long name", cut=data + size > total)
            extended = _Extended() if extended is none else extended
            if not extended.take(kind, read(data, size)):
                raise BrokenShard(uri, offset, "a pax header that cannot be read")
            offset = data + size + (-size % BLOCK)
            continue
        if kind in _NO_DATA:
            size = 0
        elif extended.size is not None:
            size = extended.size
        name = extended.name if extended.name is not None else _short_name(block)
        parts = split_name(name)
        if kind == _SPARSE:
            data = _behind_sparse_map(block, read, data)
        if data + size > total:
            key = parts[0] if parts else None
            raise BrokenShard(uri, offset, "the tar ends inside a member", key, cut=True)
        place: tuple[int, int] | None = None
        if kind == _SPARSE or (kind in _REGULAR and extended.sparse):
            if parts is not None:
                yield Sparse(*parts, offset)
        elif kind in _REGULAR:
            place = (data, size)
        elif kind == _HARD_LINK:
            place = places.get(extended.target(block))
        if place is not None:
            places[name.removeprefix("./")] = place
            if parts is not None:
                yield Member(*parts, *place)
        if kind != b"g":  # it may stand between a long name and the header that it belongs to
            extended = none
        offset = data + size + (-size % BLOCK)


@dataclass
class _Extended:
    """What the extended headers in front of a header say in its place."""

    name: str | None = None
    link: str | None = None
    size: int | None = None
    sparse: bool = False

    def target(self, block: bytes) -> str:
        """The name that a link names, without `./` in front; `block` is its header."""
        name = self.link if self.link is not None else _decode(_field(block, 157, 257))
        return name.removeprefix("./")

    def take(self, kind: bytes, text: bytes) -> bool:
        """Take over the content of an extended header; False when it cannot be read."""
        if kind == b"L":
            self.name = _decode(text.split(b"\0", 1)[0])
        elif kind == b"K":
            self.link = _decode(text.split(b"\0", 1)[0])
        else:
            records = _pax_records(text)
            size = b"0" if records is None else records.get(b"size", b"0")
            if records is None or not size.isdigit() or len(size) > 20:
                return False
            if any(record.startswith(b"GNU.sparse.") for record in records):
                self.sparse = True
            if b"path" in records or b"GNU.sparse.name" in records:
                self.name = _decode(records.get(b"GNU.sparse.name", records.get(b"path", b"")))
            if b"linkpath" in records:
                self.link = _decode(records[b"linkpath"])
            if b"size" in records:
                self.size = int(size)
        return True


def checked_size(block: bytes) -> int | None:
    """Read the size field of a header; None when its checksum is wrong (unsigned or signed; tars use both)."""
    stored = _octal(block[148:156])
    if stored is None:
        return None
    unsigned = sum(block) - sum(block[148:156]) + 8 * 32
    if stored != unsigned:
        high = sum(byte > 127 for byte in block[:148] + block[156:])
        if stored != unsigned - 256 * high:
            return None
    field = block[124:136]
    if field[0] & 0x80:  # base 256, for sizes over 8 GiB
        return int.from_bytes(field[1:], "big")
    return _octal(field)


def _octal(field: bytes) -> int | None:
    digits = field.strip(b"\0 ")
    # int() alone would take "-1", "1_0" and "0o7" for numbers.
    return int(digits or b"0", 8) if _OCTAL.issuperset(digits) else None


def _field(block: bytes, start: int, stop: int) -> bytes:
    return block[start:stop].split(b"\0", 1)[0]


def _short_name(block: bytes) -> str:
    name = _field(block, 0, 100)
    if block[257:263] == b"ustar\0":  # GNU tar writes "ustar  " and uses the prefix field for times
        prefix = _field(block, 345, 500)
        if prefix:
            name = prefix + b"/" + name
    return _decode(name)


def _behind_sparse_map(block: bytes, read: Read, data: int) -> int:
    """Where the data of a GNU sparse member begins: its map of holes may go on in blocks behind the header."""
    goes_on = block[482]
    while goes_on:
        more = read(data, BLOCK)
        data += BLOCK
        goes_on = len(more) == BLOCK and more[504]
    return data


def _pax_records(text: bytes) -> dict[bytes, bytes] | None:
    """Parse records `LENGTH KEY=VALUE\\n`, where LENGTH counts the whole record; None when they are none."""
    records: dict[bytes, bytes] = {}
    at = 0
    try:
        while at < len(text) and text[at] != 0:
            space = text.index(b" ", at)
            length = int(text[at:space])
            record = text[space + 1 : at + length]
            if length <= space + 1 - at or not record.endswith(b"\n"):
                return None
            name, value = record[:-1].split(b"=", 1)
            records[name] = value
            at += length
    except ValueError:
        return None
    return records


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
