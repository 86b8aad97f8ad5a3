"""Pictures of rejected pairs for the report: `OUTPUT/examples/NAME.json`, a few of every filter per shard."""

import base64
import io

from data_filters.sample import image_member, sample_from_members
from pipelines.common.files import join, remove_file, write_json
from pipelines.curate.decide import Rejected
from pipelines.curate.scan import members_of
from pipelines.shards.reader import read_members
from pipelines.shards.unit import Unit

EXAMPLES = "examples"
THUMBNAIL = 128  # pixels, the longer side of an example's picture
LARGEST = 100_000_000  # pixels; a larger image is not decoded for a thumbnail
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
    members = members_of(row)
    names = [member.extension for member in members]
    contents = dict(zip(names, read_members(unit.uri, members), strict=True))
    image = image_member(contents)
    return {
        "filter": drop.reason,
        "shard": unit.shard,
        "key": row["key"],
        "value": drop.value,
        "limit": drop.limit,
        "width": row["width"],
        "height": row["height"],
        "caption": (sample_from_members(row["key"], contents).caption or "")[:CAPTION_SHOWN],
        "picture": _thumbnail(contents[image]) if image else "",
    }


def _thumbnail(data: bytes) -> str:
    """A small JPEG as base64; empty when the image does not decode, which its header cannot tell, or is too large."""
    from PIL import Image

    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > LARGEST:
                return ""
            image.draft("RGB", (THUMBNAIL, THUMBNAIL))
            small = image.convert("RGB")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
            small.save(out, "JPEG", quality=70)
    except Exception:  # decoders of damaged bytes raise many types; all mean "no picture"
        return ""
    return base64.b64encode(out.getvalue()).decode("ascii")
