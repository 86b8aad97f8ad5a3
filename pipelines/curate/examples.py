"""Pictures of rejected pairs for the report: `OUTPUT/examples/NAME.json`, a few of every filter per shard."""

import base64
import io

from data_filters.decode import decode
from data_filters.sample import BrokenSample, sample_from_members
from pipelines.common.files import join, remove_file, write_json
from pipelines.curate.decide import Rejected
from pipelines.curate.scan import members_of
from pipelines.shards.batches import parts_of
from pipelines.shards.reader import read_members
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.unit import Unit

EXAMPLES = "examples"
THUMBNAIL = 128  # pixels, the longer side of an example's picture
CAPTION_SHOWN = 300  # characters of an example's caption


def write_examples(unit: Unit, rejected: list[Rejected], output: str, count: int) -> None:
    """Write the first `count` rejected pairs of every filter, by key; no file where there are none."""
    uri = join(output, EXAMPLES, f"{unit.name}.json")
    examples = [_example(unit, pair) for pair in _first_of_each_filter(rejected, count)]
    if examples:
        write_json(uri, examples, ensure_ascii=True, end="")
    else:
        remove_file(uri)


def _first_of_each_filter(rejected: list[Rejected], count: int) -> list[Rejected]:
    chosen: dict[str, list[Rejected]] = {}
    for pair in sorted(rejected, key=lambda pair: pair.row["key"]):
        of_filter = chosen.setdefault(pair.drop.reason, [])
        if len(of_filter) < count:
            of_filter.append(pair)
    return [pair for name in sorted(chosen) for pair in chosen[name]]


def _example(unit: Unit, rejected: Rejected) -> dict[str, object]:
    """The entry of one pair; its members are read from the raw shard."""
    row, drop = rejected.row, rejected.drop
    caption, picture = _shown(unit, parts_of(members_of(row)))
    return {
        "filter": drop.reason,
        "shard": unit.shard,
        "key": row["key"],
        "value": drop.value,
        "limit": drop.limit,
        "width": row["width"],
        "height": row["height"],
        "caption": caption,
        "picture": picture,
    }


def _shown(unit: Unit, members: list[Member]) -> tuple[str, str]:
    """Caption and picture of a pair, empty where its members cannot be read any more.

    An example is no reason to end a run; a shard that has changed is noticed before the commit.
    """
    names = [member.extension for member in members]
    try:
        contents = dict(zip(names, read_members(unit.uri, members), strict=True))
        sample = sample_from_members(members[0].key, contents)
    except (BrokenSample, BrokenShard):
        return "", ""
    return (sample.caption or "")[:CAPTION_SHOWN], _thumbnail(sample.image or b"")


def _thumbnail(data: bytes) -> str:
    """A small JPEG as base64; empty when the image does not decode, which its header cannot tell."""
    try:
        small = decode(data, at_least=THUMBNAIL)
    except BrokenSample:
        return ""
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=70)
    return base64.b64encode(out.getvalue()).decode("ascii")
