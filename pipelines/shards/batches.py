"""Reads samples in batches that fit in memory, by the bytes that are read of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from data_filters.sample import members_read, parts_named
from pipelines.shards import stored
from pipelines.shards.reader import read_members
from pipelines.shards.stored import Content, stored_apart
from pipelines.shards.tar_format import Member

Item = TypeVar("Item")

READ_AHEAD = 64 * 1024 * 1024  # bytes of samples that are held at a time


def batches(
    items: Iterable[Item], size: Callable[[Item], int], enough: int | None = None
) -> Iterator[list[Item]]:
    """Yield the items in their order, each batch ending where its sizes reach `enough` bytes; none is empty.

    `enough` is READ_AHEAD by default.
    """
    enough = READ_AHEAD if enough is None else enough
    batch: list[Item] = []
    held = 0
    for item in items:
        batch.append(item)
        held += size(item)
        if held >= enough:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def read_samples(uri: str, samples: Iterable[list[Member]]) -> Iterator[list[dict[str, Content]]]:
    """Yield batches of samples, the contents of each by extension; about READ_AHEAD bytes are held at a time.

    Large members apart from image, caption and metadata are `Stored`: they are read where they are used. Raises
    BrokenShard when the tar is shorter than a member says.
    """
    split = (_split(uri, members) for members in samples)
    for batch in batches(split, lambda parts: length_of(parts[0])):
        data = iter(read_members(uri, [member for held, _ in batch for member in held]))
        yield [{**{member.extension: next(data) for member in held}, **apart} for held, apart in batch]


def held_in_memory(contents: Mapping[str, Content]) -> dict[str, bytes]:
    """The contents of a sample without those that are `Stored`."""
    return {extension: data for extension, data in contents.items() if isinstance(data, bytes)}


def parts_of(members: Iterable[Member]) -> list[Member]:
    """The members of a sample whose contents make its image, caption and metadata, in their order."""
    members = list(members)
    names = parts_named(tuple([member.extension for member in members]))
    return [member for member in members if member.extension in names]


def length_of(members: Iterable[Member]) -> int:
    """The bytes of the contents of members."""
    return sum([member.length for member in members])


def _split(uri: str, members: list[Member]) -> tuple[list[Member], dict[str, Content]]:
    """The members of a sample that are held in memory, and the others."""
    if all(member.length <= stored.LARGE for member in members):
        return members, {}
    apart = stored_apart(uri, members, members_read(member.extension for member in members))
    return [member for member in members if member.extension not in apart], dict(apart)
