"""The rule `duplicates` against a brute-force referee, on corpora full of repeats."""

from __future__ import annotations

import random
from collections import defaultdict

import pyarrow as pa
import pytest
import xxhash
from pydantic import ValidationError
from small_corpus import SmallCorpus

from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.duplicates import DropRepeats
from pipelines.curate.rules.duplicates import Duplicates

OPTIONS = [
    {"of": "caption", "keep": "first"},
    {"of": "caption", "keep": "none"},
    {"of": "image", "keep": "first"},
    {"of": "image", "keep": "none"},
    {"of": "both", "keep": "first"},
    {"of": "both", "keep": "none"},
    *({"of": "caption", "max_images": limit} for limit in (1, 2, 5)),
    *({"of": "image", "max_captions": limit} for limit in (1, 3)),
]


def hashed(name: int) -> bytes:
    """128 bits; numbers from 100 on agree in their first 64 bits with a number below 100, in the others not."""
    digest = xxhash.xxh3_128_digest(str(name % 100).encode())
    return digest if name < 100 else digest[:8] + xxhash.xxh3_64_digest(str(name).encode())


def random_corpus(number_of_corpus: int, **how: int) -> tuple[SmallCorpus, dict[int, tuple[int, int]]]:
    """A corpus of 5 shards, one empty, and 2 of an earlier output; and (caption, image) by rank."""
    draw = random.Random(number_of_corpus)
    pairs: dict[int, tuple[int, int]] = {}
    tables: tuple[dict[str, pa.Table], dict[str, pa.Table]] = ({}, {})
    places: dict[str, list[int]] = {}
    for is_earlier in (False, True):
        for number in range(2 if is_earlier else 5):
            name = f"{'earlier' if is_earlier else 'shard'}-{number}"
            size = 0 if name == "shard-2" else draw.randrange(20, 90)
            places[name] = sorted(draw.sample(range(200), size))
            drawn = [(draw.randrange(20) + draw.choice([0, 0, 100]), draw.randrange(30)) for _ in range(size)]
            for place, pair in zip(places[name], drawn, strict=True):
                pairs[number * 2**32 + place - (2**62 if is_earlier else 0)] = pair
            columns = {
                "caption_key": pa.array([hashed(caption) for caption, _ in drawn], pa.binary(16)),
                "image_hash": pa.array([hashed(1000 + image) for _, image in drawn], pa.binary(16)),
            }
            tables[is_earlier][name] = pa.table(columns)
    return SmallCorpus(tables[0], tables[1], places, **how), pairs


def referee(pairs: dict[int, tuple[int, int]], options: dict[str, object]) -> dict[int, tuple[int, float]]:
    groups: dict[object, list[int]] = defaultdict(list)
    for rank in sorted(pairs):
        caption, image = pairs[rank]
        groups[{"caption": caption, "image": image, "both": (caption, image)}[options["of"]]].append(rank)
    drops: dict[int, tuple[int, float]] = {}
    for ranks in groups.values():
        if "keep" in options:
            value, fails = len(ranks), len(ranks) > 1
            victims = ranks[1:] if options["keep"] == "first" else ranks
        else:
            part = 1 if "max_images" in options else 0
            value = len({pairs[rank][part] for rank in ranks})
            fails = value > (options.get("max_images") or options["max_captions"])
            victims = ranks
        if fails:
            for rank in victims:
                if rank >= 0:
                    drops[rank] = (ranks[1] if rank == ranks[0] else ranks[0], float(value))
    return drops


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_drops_what_the_referee_drops(options: dict[str, object], seed: int) -> None:
    expected = None
    for how in (
        {},
        {"partitions": 1, "seed": 1},
        {"partitions": 7, "seed": 2},
        {"partitions": 50, "seed": 3},
        {"partitions": 3, "seed": 4, "most": 12},
        {"most": 1},
    ):
        corpus, pairs = random_corpus(seed, **how)
        expected = referee(pairs, options) if expected is None else expected
        Duplicates(kind="duplicates", **options).decide(corpus.as_corpus())
        assert corpus.drops == expected
    assert expected


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_an_empty_corpus_loses_nothing(options: dict[str, object]) -> None:
    columns = {name: pa.array([], pa.binary(16)) for name in ("caption_key", "image_hash")}
    corpus = SmallCorpus({"a": pa.table(columns), "b": pa.table(columns)}, partitions=3, seed=0)
    Duplicates(kind="duplicates", **options).decide(corpus)
    assert corpus.drops == {}


def test_hashes_in_slices_and_chunks_are_read_where_they_lie() -> None:
    keys = pa.array([hashed(name) for name in (1, 2, 3, 2, 1)], pa.binary(16))
    column = pa.chunked_array([keys.slice(1, 2), keys.slice(3)])
    corpus = SmallCorpus({"a": pa.table({"caption_key": column})})
    Duplicates(kind="duplicates", of="caption", keep="first").decide(corpus)
    assert corpus.drops == {2: (0, 2.0)}


def test_an_empty_partition_drops_nothing() -> None:
    columns = {
        "key": pa.array([], pa.uint64()),
        "rank": pa.array([], pa.int64()),
        "same_0": pa.array([], pa.uint64()),
    }
    drops = DropRepeats(keep_first=True)(pa.table(columns))
    assert drops.schema.equals(DROPS)
    assert drops.num_rows == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"of": "caption"},
            "received none of its limits; give exactly one of keep, max_images, max_captions",
        ),
        (
            {"of": "caption", "keep": "first", "max_images": 3},
            "received keep and max_images; give exactly one",
        ),
        ({"of": "image", "max_images": 3}, "max_images counts for each caption, but `of` is image"),
        ({"of": "both", "max_captions": 3}, "max_captions counts for each image, but `of` is both"),
        ({"of": "caption", "max_images": 0}, "greater than or equal to 1"),
        ({"of": "url", "keep": "first"}, "'caption', 'image' or 'both'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Duplicates(kind="duplicates", **options)


def test_words_and_limits() -> None:
    rule = Duplicates(kind="duplicates", of="both", keep="first")
    assert rule.words() == "keeps: the first of pairs with equal caption and image"
    assert Duplicates(kind="duplicates", of="caption", max_images=10).limit() == "max_images 10"
    assert Duplicates(kind="duplicates", of="image", max_captions=2).limit() == "max_captions 2"
