"""Members that are copied from tar to tar in pieces, because they are too large to be held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipelines.shards.storage import open_at_random
from pipelines.shards.tar_format import BrokenShard, Member

LARGE = 64 * 1024 * 1024  # bytes of a member that is copied in pieces when nothing needs its content
PIECE = 4 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Stored:
    """The bytes of a member where they lie; iterating reads them in pieces.

    Iterating raises BrokenShard when the tar is shorter than the member says.
    """

    uri: str
    member: Member

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.member.length

    def __iter__(self) -> Iterator[bytes]:
        at, stop = self.member.offset, self.member.offset + self.member.length
        with open_at_random(self.uri) as (read, _):
            while at < stop:
                piece = read(at, min(PIECE, stop - at))
                if not piece:
                    raise BrokenShard(self.uri, at, "the tar ends inside a member", self.member.key, cut=True)
                yield piece
                at += len(piece)


Content = bytes | Stored


def stored_apart(uri: str, members: Iterable[Member], needed: set[str]) -> dict[str, Stored]:
    """The large members of a sample, by extension, without those whose content is needed."""
    return {
        member.extension: Stored(uri, member)
        for member in members
        if member.length > LARGE and member.extension not in needed
    }
