"""Looks for one image-text pair in the headers of a raw shard, and says what is there in its place."""

from __future__ import annotations

from data_filters.sample import CAPTION_EXTENSION, METADATA_EXTENSION, image_member
from pipelines.shards.damage.recovery import Damage
from pipelines.shards.names import printable
from pipelines.shards.reader import survey
from pipelines.shards.unit import Unit

SHOWN = 4  # members of the first sample


def missing_pair(unit: Unit) -> str | None:
    """Say what a shard holds in place of an image with a caption; None when it holds one.

    Reads headers up to the first pair. Members of one key may stand apart.
    """
    names: dict[str, list[str]] = {}
    broken: str | None = None
    for entry in survey(unit.uri):
        if isinstance(entry, Damage):
            broken = broken or entry.reason
            continue
        of_key = names.setdefault(entry.key, [])
        of_key.append(entry.extension)
        lower = {name.lower() for name in of_key}
        if image_member(dict.fromkeys(of_key)) and lower & {CAPTION_EXTENSION, METADATA_EXTENSION}:
            return None
    if names:
        key, of_key = next(iter(names.items()))
        members = [f"{key}.{name}" for name in of_key[:SHOWN]] + ["..."] * (len(of_key) > SHOWN)
        return printable(f"{unit.shard} begins with {', '.join(members)}")
    is_foreign = broken is not None and broken.startswith("no ")
    return f"{unit.shard} is {broken}" if is_foreign else f"{unit.shard}: {broken or 'empty'}"
