"""Counts the samples that a damaged shard has lost; estimates where nothing says how many they were."""

from __future__ import annotations

import itertools
import posixpath
import re
from dataclasses import dataclass

from pipelines.common.files import filesystem, join, read_json
from pipelines.shards.damage.contents import Contents, Hit, bytes_of
from pipelines.shards.reader import walk
from pipelines.shards.tar_format import BLOCK, NO_END_MARKER, BrokenShard
from pipelines.shards.unit import Unit

SIBLINGS = 16  # the largest ones, of which one must have its end
LOOKED_AT = 200  # members of another shard, for the size of its samples


@dataclass(frozen=True)
class Loss:
    """A number of lost samples, and a sentence that says what it rests on.

    It is at least 1, but for a shard that lacks nothing except its end marker. `estimated`: nothing says the number.
    """

    count: int
    basis: str
    estimated: bool = False


def count_lost(unit: Unit, contents: Contents, hit: Hit, total: int, before: int = 0) -> Loss:
    """Count the samples that a damage has cost a shard of `total` bytes; looks at the files beside it if need be.

    `before`: samples that the damages in front of this one have cost.
    """
    damage = hit.damage
    known = max(1, len(hit.incomplete))
    if damage.one_member:
        return Loss(known, _said(known))
    if damage.cut:
        return _lost_by_cut(unit, contents, hit, total, before)
    if not contents.samples:
        return _lost_as_a_whole(unit, total, known)
    gone = damage.stop - damage.offset + sum(map(bytes_of, hit.incomplete))
    count = max(known, round(gone / _mean(contents)))
    return _estimated(count, f"by the {damage.stop - damage.offset} bytes that cannot be read")


def _lost_by_cut(unit: Unit, contents: Contents, hit: Hit, total: int, before: int) -> Loss:
    """The end of the shard is missing: the shard's own statistics, or its neighbours, tell how much there was."""
    found = len(contents.samples)
    if not found:
        return _lost_as_a_whole(unit, total, 1)
    may_be_whole = hit.damage.reason == NO_END_MARKER and not hit.incomplete
    known = 0 if may_be_whole else max(1, len(hit.incomplete))
    stated = _stated(unit)
    missing = stated - found - before
    if missing > 0:
        return Loss(missing, f"{_said(missing)} of the {stated} that {unit.name}_stats.json names")
    if missing == 0 and may_be_whole:
        return Loss(0, f"its samples are all there, by {unit.name}_stats.json")
    sibling = _largest_sibling(unit)
    if sibling is not None:
        there = total - sum(map(bytes_of, hit.incomplete))
        count = max(known, round((sibling.size - there) / _mean(contents)))
        if not count:
            return Loss(0, f"its samples are all there, by the size of {sibling.shard}")
        return _estimated(count, f"by the size of {sibling.shard}")
    if may_be_whole:
        return Loss(0, "nothing else says that samples are missing")
    count = max(known, found)
    return _estimated(count, "as many as were found, since nothing tells the whole size")


def _lost_as_a_whole(unit: Unit, total: int, known: int) -> Loss:
    """Nothing of the shard can be read."""
    stated = _stated(unit)
    if stated:
        return Loss(stated, f"{_said(stated)}, all that {unit.name}_stats.json names")
    sibling = _largest_sibling(unit)
    mean = None if sibling is None else _mean_of_sibling(sibling)
    if sibling is None or mean is None:
        return Loss(known, f"at least {_said(known)}, nothing tells how many", estimated=True)
    count = max(known, round(max(sibling.size, total) / mean))
    return _estimated(count, f"by the size of {sibling.shard} and of its samples")


def _estimated(count: int, basis: str) -> Loss:
    return Loss(count, f"an estimated {_said(count)}, {basis}", estimated=True)


def _said(count: int) -> str:
    return f"{count} sample{'s' if count != 1 else ''} lost"


def _mean(contents: Contents) -> float:
    """Bytes of a sample in the tar."""
    return sum(map(bytes_of, contents.samples)) / len(contents.samples)


def _stated(unit: Unit) -> int:
    """The number of samples that img2dataset's NAME_stats.json beside the shard names; 0 where it names none."""
    folder = posixpath.dirname(unit.uri)
    try:
        stats = read_json(join(folder, f"{unit.name}_stats.json"))
        return max(0, int(stats["successes"])) if isinstance(stats, dict) else 0
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return 0  # the file is foreign: it may hold Infinity, or brackets without end


def _largest_sibling(unit: Unit) -> Unit | None:
    """The largest shard of the same folder that has its end and whose name differs in digits alone."""
    fs, path = filesystem(unit.uri)
    alike = _without_digits(posixpath.basename(path))
    found = []
    try:
        for entry in fs.ls(posixpath.dirname(path), detail=True):
            name = posixpath.basename(entry["name"])
            if entry["name"] != path and entry["size"] and _without_digits(name) == alike:
                found.append((entry["size"], entry["name"]))
        for size, other in sorted(found, reverse=True)[:SIBLINGS]:
            if size >= 2 * BLOCK and not fs.cat_file(other, start=size - 2 * BLOCK, end=size).strip(b"\0"):
                name = posixpath.basename(other).removesuffix(".tar")
                return Unit(name, str(fs.unstrip_protocol(other)), size)
    except OSError:
        return None
    return None


def _without_digits(name: str) -> str:
    return re.sub(r"\d+", "0", name)


def _mean_of_sibling(sibling: Unit) -> float | None:
    """Bytes of a sample in the first part of a shard; None when it cannot be read."""
    keys: dict[str, int] = {}
    end = 0
    try:
        for member in itertools.islice(walk(sibling.uri), LOOKED_AT):
            keys.setdefault(member.key, member.offset)
            end = member.offset + member.length
    except BrokenShard:
        pass
    return end / len(keys) if keys else None
