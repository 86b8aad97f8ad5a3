"""Thousands of damaged metadata members: each ends kept or quarantined, and what is written reads back equal."""

import json
import random

import pytest
from curation import bad_of, curate_one
from raw_shards import CAPTION, picture, write_tar

from data_filters.sample import BrokenSample, parse_metadata
from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.curate.scored import stored_scores
from pipelines.shards.reader import iterate

CONFIG = CurateConfig(min_side=16, examples=0)
TOGETHER = 50  # samples of one shard
WHOLE = json.dumps(
    {
        "caption": CAPTION,
        "url": "http://a/ż",
        "width": 10**20,
        "tags": ["a", {"b": [1, 2.5, None, True]}],
        "e": {},
    }
)
PIECES = [
    '"', "\\", "{", "}", "[", "]", ",", ":", "NaN", "Infinity", "-Infinity", "1e999", "1" * 5000, "-", "0x", "\\ud800",
    "\\u0000", "\x00", "\ufeff", "null", "true", '{"a":' * 90, "[" * 2000, '"loupe": 3,', '"caption": [],', "\u2028",
]  # fmt: skip
ENCODINGS = ["utf-8", "utf-8", "utf-8", "utf-16", "utf-32", "utf-8-sig", "utf-16-le"]


def damaged(seed: int) -> bytes:
    """A JSON text with pieces inserted, removed and repeated, in some encoding, with bytes flipped."""
    rng = random.Random(seed)
    text = WHOLE
    kind = rng.randrange(6)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, to = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        if kind == 0:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[to:]
        elif kind == 2:
            text = text[:to] + text[at:to] + text[to:]
        elif kind == 3:  # stays JSON
            depth = rng.choice([1, 50, 95, 99, 100, 200, 990, 5000])
            value = rng.choice(
                ['"\\ud83d"', "NaN", "-1e400", "9" * rng.choice([30, 4300, 4301]), '"[[{"', "[]"]
            )
            text = text[:-1] + ', "deep": ' + "[" * depth + value + "]" * depth + "}"
    data = bytearray(text.encode(rng.choice(ENCODINGS), "surrogatepass"))
    if kind == 4:
        for _ in range(rng.choice([1, 4])):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)]) if kind == 5 else bytes(data)


def equal(one: object, other: object) -> bool:
    """Whether two parsed JSON values are equal, NaN being equal to itself."""
    return json.dumps(one) == json.dumps(other)


@pytest.mark.long
def test_damaged_metadata_is_set_aside_or_written_as_it_was(tmp_path, repetitions):
    image = picture(24, 24)
    kept = 0
    for first in range(0, repetitions(2000), TOGETHER):
        raw = {seed: damaged(seed) for seed in range(first, first + TOGETHER)}
        members: dict[str, bytes | str] = {}
        for seed, data in raw.items():
            members |= {f"{seed}.jpg": image, f"{seed}.txt": CAPTION, f"{seed}.json": data}
        write_tar(tmp_path / "in" / "0.tar", members)
        (unit,) = find_units(str(tmp_path / "in"))
        found, _, _ = curate_one(unit, str(tmp_path / "out"), CONFIG)
        assert stored_scores(unit, make_plan(CONFIG).groups, str(tmp_path / "out")) == (found, [])
        set_aside = {int(row["key"]): row for row in bad_of(found)}
        written = {int(key): parts for key, parts in iterate(tmp_path / "out" / "0.tar")}
        assert set(written) | set(set_aside) == set(raw), f"seeds from {first}"
        assert not set(written) & set(set_aside), f"seeds from {first}"
        for seed, row in set_aside.items():
            assert (row["reason"], row["count"]) == ("metadata_not_json", 1), f"seed {seed}"
            with pytest.raises(BrokenSample):
                parse_metadata(raw[seed])
        for seed, parts in written.items():
            back, came = json.loads(parts["json"]), json.loads(raw[seed])
            assert back.pop("loupe")["source"]["shard"] == "0.tar", f"seed {seed}"
            came.pop("loupe", None)
            assert equal(back, came), f"seed {seed}"
        kept += len(written)
    assert kept > repetitions(2000) // 10  # the test is about both ends
