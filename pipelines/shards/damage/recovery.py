"""Reads what can be read of a damaged tar: behind a damage, members are found again by the next valid header.

A header is recognised by its magic and its checksum, at any byte, since lost bytes move everything behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pipelines.shards.tar_format import (
    BLOCK,
    NO_END_MARKER,
    BrokenShard,
    Member,
    Places,
    Read,
    Sparse,
    checked_size,
    parse_members,
)

MAX_PADDING = 20 * BLOCK + 2 * BLOCK
"""Bytes of zeros at the end of a tar: its end marker, then up to a record."""
_MAGIC, _MAGIC_AT = b"ustar", 257
_PIECE = 1024 * 1024  # bytes searched at a time


class Damage(NamedTuple):
    """The bytes from `offset` to `stop` of a tar cannot be read.

    `key`: the sample whose member is cut, where that is known. `cut`: bytes are missing behind the end of the file,
    nobody knows how many. `one_member`: the bytes are exactly those of one member whose header is damaged. `suspect`:
    the member in front may be damaged too, since nothing says where the damage begins.
    """

    offset: int
    stop: int
    reason: str
    key: str | None = None
    cut: bool = False
    one_member: bool = False
    suspect: bool = False


Entry = Member | Sparse | Damage


def survey_members(uri: str, read: Read, total: int) -> Iterator[Entry]:
    """Yield the members of a tar of `total` bytes and, between them, its damages. Raises no BrokenShard.

    A tar that ends at the end of a member, without its end marker, yields a Damage of no bytes with the reason
    NO_END_MARKER: it may be whole.
    """
    at: int | None = 0
    places: Places = {}
    while at is not None:
        last: Member | Sparse | None = None
        members = parse_members(uri, read, total, at, places)
        while True:
            try:
                last = next(members)
            except StopIteration as ended:
                at, damage = _behind_zeros(read, total, ended.value)
                break
            except BrokenShard as broken:
                at, damage = _behind_damage(read, total, broken, last)
                break
            yield last
        if damage is not None:
            yield damage


def _behind_zeros(read: Read, total: int, end: int) -> tuple[int | None, Damage | None]:
    """Look behind the block of zeros at `end`: it is the end marker, unless headers follow.

    Headers that follow are those of another tar that was appended, or the zeros are a hole in the file.
    """
    found = next_header(read, total, end + BLOCK)
    if found is None:
        return None, None
    gap = found - end
    if 2 * BLOCK <= gap <= MAX_PADDING and not read(end, gap).strip(b"\0"):
        return found, None
    return found, Damage(end, found, "zeros where a header should be", suspect=True)


def _behind_damage(
    read: Read, total: int, broken: BrokenShard, last: Member | Sparse | None
) -> tuple[int | None, Damage]:
    """Find where a tar goes on, and what lies before that."""
    offset = broken.offset
    if broken.reason == NO_END_MARKER or _is_archive(read(offset, 100)):
        return None, Damage(offset, total, broken.reason, broken.key, broken.cut)
    start = offset + 1
    if isinstance(last, Member) and not broken.cut and not last.extension.lower().endswith("tar"):
        # Where bytes are lost inside a member, the headers behind it lie before the place that its size leads to.
        start = min(start, last.offset)
    found = next_header(read, total, start)
    if found is None:
        return None, Damage(offset, total, broken.reason, broken.key, broken.cut, suspect=not broken.cut)
    if found < offset:
        return found, Damage(found, found, "a member shorter than its header says", suspect=True)
    if broken.cut:
        return found, Damage(offset, found, "a member with a wrong size", broken.key)
    size = _damaged_size(read(offset, BLOCK))
    one_member = size is not None and offset + BLOCK + size + (-size % BLOCK) == found
    return found, Damage(offset, found, broken.reason, one_member=one_member, suspect=not one_member)


def next_header(read: Read, total: int, start: int) -> int | None:
    """The offset of the first valid header at byte `start` or behind it."""
    at = start + _MAGIC_AT
    while at < total:
        piece = read(at, _PIECE + len(_MAGIC) - 1)
        found = piece.find(_MAGIC)
        while found != -1:
            offset = at + found - _MAGIC_AT
            block = read(offset, BLOCK)
            if len(block) == BLOCK and checked_size(block) is not None:
                return offset
            found = piece.find(_MAGIC, found + 1)
        at += _PIECE
    return None


def _damaged_size(block: bytes) -> int | None:
    """The size field of a header whose checksum is wrong, when it holds a number."""
    digits = block[124:136].strip(b"\0 ")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _is_archive(header: bytes) -> bool:
    """Whether valid headers may lie inside the member with this header, which is a tar itself."""
    return header.split(b"\0", 1)[0].lower().endswith(b"tar")
