"""What benches of phase L share: the first pairs of a shard, a bare loop over them, CPU seconds of a call."""

import tarfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from data_filters.decode import decode
from data_filters.sample import BrokenSample

Pair = tuple[Any, str]


def seconds(call: Callable[[], object]) -> float:
    """CPU seconds of a call, all threads."""
    before = time.process_time()
    call()
    return time.process_time() - before


def bare_loop(shard: str, measure: Callable[[list[Pair]], object], at_least: int, size: int) -> None:
    """Read, decode, measure in batches of `size`."""
    batch: list[Pair] = []
    for image, caption in pairs_of(shard):
        try:
            batch.append((decode(image, at_least=at_least), caption))
        except BrokenSample:
            continue
        if len(batch) == size:
            measure(batch)
            batch = []
    if batch:
        measure(batch)


def pairs_of(shard: str) -> Iterator[tuple[bytes, str]]:
    """Image and caption of neighbouring members."""
    held: dict[str, bytes] = {}
    stem = ""
    with tarfile.open(shard) as tar:
        for member in tar:
            before, (stem, extension) = stem, member.name.rsplit(".", 1)
            if stem != before:
                held = {}
            data = tar.extractfile(member)
            held["txt" if extension == "txt" else "json" if extension == "json" else "image"] = (
                data.read() if data else b""
            )
            if {"image", "txt"} <= held.keys():
                yield held.pop("image"), held.pop("txt").decode()


def first_pairs(shard: str, target: str, count: int) -> str:
    """A tar of the first pairs of another."""
    with tarfile.open(shard) as tar, tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as out:
        stems: dict[str, None] = {}
        for member in tar:
            stems.setdefault(member.name.split(".", 1)[0])
            if len(stems) > count:
                break
            out.addfile(member, tar.extractfile(member))
    return target
