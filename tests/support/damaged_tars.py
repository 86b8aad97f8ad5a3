"""Damages to tars, each a function of (random generator, bytes, where its headers lie) → other bytes."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable

BLOCK = 512
TYPES = b"0\x00123456789gxLKSDMVNXA?"

Damage = Callable[[random.Random, bytearray, list[int]], bytes]


def headers_of(data: bytes) -> list[int]:
    """The offsets of every header of a whole tar, those of long names included."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = []
        for member in tar:
            found += range(member.offset, member.offset_data, BLOCK)
    return [at for at in found if data[at + 257 : at + 262] == b"ustar"]


def damaged(seed: int, data: bytes) -> tuple[str, bytes]:
    """The name of a damage, and the tar with one to three of it; the same for the same seed."""
    rng = random.Random(seed)
    name = rng.choice(list(DAMAGES))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        headers = [at for at in range(0, len(data), BLOCK) if data[at + 257 : at + 262] == b"ustar"] or [0]
        data = bytes(DAMAGES[name](rng, bytearray(data), headers))
    return name, data


def fix_checksum(data: bytearray, header: int) -> None:
    """Make the checksum of a header right again."""
    data[header + 148 : header + 156] = b" " * 8
    data[header + 148 : header + 156] = f"{sum(data[header : header + BLOCK]):06o}\0 ".encode()


def cut(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Lose the end."""
    return data[: rng.randrange(len(data) + 1)]


def flip_in_header(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Change one byte of a header's name, mode, owner or time."""
    at = rng.choice(headers) + rng.choice([*range(1, 124), *range(136, 148)])
    data[at] ^= 1 << rng.randrange(7)
    return data


def flip_in_data(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Change bytes that are in no header, and not in the end marker."""
    blocks = set(range(0, len(data.rstrip(b"\0")), BLOCK)) - set(headers)
    for at in rng.sample(sorted(blocks), min(len(blocks), 3)):
        data[at + rng.randrange(BLOCK)] ^= 1 << rng.randrange(8)
    return data


def noise(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Overwrite a stretch with random bytes."""
    start = rng.randrange(len(data) + 1)
    length = min(rng.choice([10, 600, 3000, 20_000]), len(data) - start)
    data[start : start + length] = rng.randbytes(length)
    return data


def zeros(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Overwrite a stretch with zeros, as a hole in a file."""
    start = rng.randrange(len(data) + 1) // BLOCK * BLOCK
    length = min(rng.choice([BLOCK, 4096, 8192]), len(data) - start)
    data[start : start + length] = bytes(length)
    return data


def splice(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Lose a stretch whose length is no multiple of a block."""
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice([1, 100, 511, 513, 5000, 20_001])]
    return data


def splice_blocks(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Lose whole blocks."""
    start = rng.randrange(len(data) + 1) // BLOCK * BLOCK
    del data[start : start + BLOCK * rng.choice([1, 2, 8, 20])]
    return data


def insert(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Gain a stretch of random bytes."""
    start = rng.randrange(len(data) + 1)
    data[start:start] = rng.randbytes(rng.choice([1, 100, 513, 5001]))
    return data


def repeat(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Gain a copy of blocks that stand elsewhere."""
    start, there = (rng.randrange(len(data) + 1) // BLOCK * BLOCK for _ in range(2))
    data[there:there] = data[start : start + BLOCK * rng.choice([1, 3, 12])]
    return data


def swap(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Exchange two blocks."""
    if len(data) < 2 * BLOCK:
        return data
    one, other = (rng.randrange(len(data) // BLOCK) * BLOCK for _ in range(2))
    data[one : one + BLOCK], data[other : other + BLOCK] = (
        data[other : other + BLOCK],
        data[one : one + BLOCK],
    )
    return data


def size_field(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Write another size into a header, with the checksum that belongs to it."""
    header = rng.choice(headers)
    size = rng.choice(
        [
            *(f"{rng.choice([0, 1, 511, 5000, 10**6, 8**11 - 1]):011o}\0".encode() for _ in range(3)),
            b"\x80" + rng.randbytes(11),
            b"\xff" + rng.randbytes(11),
            b"-0000001000\0",
            b"0000000000-1",
            b"1_000\0\0\0\0\0\0\0",
            bytes(12),
            b" " * 12,
        ]
    )
    data[header + 124 : header + 136] = size
    fix_checksum(data, header)
    return data


def type_field(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Write another type into a header, with the checksum that belongs to it."""
    header = rng.choice(headers)
    data[header + 156] = rng.choice(TYPES)
    fix_checksum(data, header)
    return data


def name_field(rng: random.Random, data: bytearray, headers: list[int]) -> bytes:
    """Write another name, or a link's name, into a header, with the checksum that belongs to it."""
    header = rng.choice(headers)
    names = [
        b"../up.jpg",
        b"/etc/x.txt",
        b"a\\b.jpg",
        b"caf\xe9.jpg",
        b"",
        b".jpg",
        b"..",
        b"k1.jpg",
        b"k1.txt",
        b".",
    ]
    at = header + rng.choice([0, 0, 0, 157, 345])
    data[at : at + 100] = rng.choice([*names, rng.randbytes(60)]).ljust(100, b"\0")
    fix_checksum(data, header)
    return data


DAMAGES: dict[str, Damage] = {
    one.__name__: one
    for one in (
        cut,
        flip_in_header,
        flip_in_data,
        noise,
        zeros,
        splice,
        splice_blocks,
        insert,
        repeat,
        swap,
        size_field,
        type_field,
        name_field,
    )
}
HARMLESS_TO_MEMBERS = ("cut", "flip_in_header", "splice", "insert")
"""Damages behind which every member that is still found is as it was."""
