"""Caption and picture of a pair of a raw shard, as the report shows them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

from data_filters.decode import decode
from data_filters.sample import BrokenSample, parts_from_members
from pipelines.shards.reader import read_members
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.unit import Unit
from pipelines.shards.witness import Witness, witness

THUMBNAIL = 128  # pixels, the longer side of an example's picture
CAPTION_SHOWN = 300  # characters of an example's caption


# Any: what the facts of the shard say of it (`read_identity`).
def caption_and_picture(unit: Unit, members: list[Member], about: Mapping[str, Any]) -> tuple[str, str]:
    """Caption and picture of a pair, empty where its members cannot be read any more or the shard has changed.

    An example is no reason to end a run.
    """
    names = [member.extension for member in members]
    try:
        scanned = Witness.from_json(about.get("witness"))
        if scanned is None or scanned != witness(unit.uri):
            return "", ""
        contents = dict(zip(names, read_members(unit.uri, members), strict=True))
        image, caption, _ = parts_from_members(contents)
    except (BrokenSample, BrokenShard, OSError):
        return "", ""
    return (caption or "")[:CAPTION_SHOWN], _thumbnail(image or b"")


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
