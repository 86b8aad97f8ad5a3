"""Replay against a referee that judges pairs one after the other from the captions themselves."""

import random
import shutil
from pathlib import Path

import pytest
from curation import curate_one, scanned, store
from raw_shards import picture, write_tar

from data_filters.errors import InputError
from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.replay import replay

WORDS = ["red", "green", "blue", "round", "square", "old", "new", "big", "small", "dark"]
RULES = {
    "near": {"kind": "near_captions", "min_similarity": 0.6},
    "both": {"kind": "duplicates", "of": "both", "keep": "first"},
}
SIDES = (40, 64, 80)


def captions(shard: int) -> list[str]:
    """Twelve captions of 3 to 8 words; some come again, or nearly, in this shard or another."""
    draw = random.Random(shard)
    found = [" ".join(draw.sample(WORDS, 3 + number % 6)) for number in range(10)]
    again = captions(shard - 1)[3:5] if shard else found[3:5]
    return [*found, again[0], again[1] + " tall"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Three raw shards and an output with scores of all rules, without a commit."""
    folder = tmp_path_factory.mktemp("replay")
    for shard in range(3):
        members: dict[str, bytes | str] = {}
        for number, caption in enumerate(captions(shard)):
            side = SIDES[(number + shard) % 3]
            members[f"{number:03}.jpg"] = picture(90, side, seed=100 * shard + number)
            members[f"{number:03}.txt"] = caption
        write_tar(folder / "raw" / f"{shard}.tar", members)
    config = recipe()
    for unit in find_units(str(folder / "raw")):
        store(scanned(unit, config), str(folder / "out"), config)
    return folder


def recipe(**changes: object) -> CurateConfig:
    values = {"min_side": 50, "max_words": 7, "rules": RULES, "min_characters": None, **changes}
    return CurateConfig(**values)


def referee(
    min_side: int, max_words: int, similarity: float, unscored: set[int], kept: bool
) -> dict[str, int]:
    """Pairs dropped by each rule in order; `near` drops none (`kept`) or all pairs of shards in `unscored`."""
    dropped = dict.fromkeys(("small_image", "many_words", "near", "both"), 0)
    standing = []
    for shard in range(3):
        for number, caption in enumerate(captions(shard)):
            if SIDES[(number + shard) % 3] <= min_side:
                dropped["small_image"] += 1
            elif len(caption.split()) > max_words:
                dropped["many_words"] += 1
            else:
                standing.append((shard, caption))
    seen: list[set[str]] = []
    for shard, caption in standing:
        words = set(caption.split())
        if shard in unscored:
            dropped["near"] += not kept
            continue
        dropped["near"] += any(len(words & other) / len(words | other) >= similarity for other in seen)
        seen.append(words)
    return dropped  # every image is another, so that `both` drops nothing


def dropped_of(funnel) -> dict[str, int]:
    return {
        one.name: one.rejected_in_order
        for one in funnel.filters
        if one.rejected_in_order or one.name in RULES
    }


@pytest.mark.parametrize(
    ("side", "words", "similarity"), [(50, 7, 0.6), (70, 7, 0.6), (30, 5, 0.9), (50, 9, 0.3)]
)
def test_the_funnel_is_that_of_a_referee(world, side, words, similarity):
    rules = {
        **RULES,
        "near": {**RULES["near"], "min_similarity": similarity, "min_recall": 0.9999, "rows": 2},
    }
    found = replay(recipe(min_side=side, max_words=words, rules=rules), recipe(), str(world / "out"))
    expected = referee(side, words, similarity, set(), True)
    assert {name: count for name, count in expected.items() if count or name in RULES} == dropped_of(
        found.most
    )
    assert found.least == found.most
    assert found.most.kept == 36 - sum(expected.values())
    assert (found.not_scored, found.unjudged, found.shards) == ((0,) * 6, 0, 3)


def test_raw_shards_may_be_gone_and_nothing_is_written(world, tmp_path, no_ray):
    output = tmp_path / "out"
    shutil.copytree(world / "out", output)
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    hidden = world / "raw.hidden"
    (world / "raw").rename(hidden)
    try:
        found = replay(recipe(max_words=5), recipe(), str(output))
    finally:
        hidden.rename(world / "raw")
    assert found.today.kept > found.most.kept > 0
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before


def test_pairs_without_a_score_are_counted_as_kept_and_as_dropped(world, tmp_path):
    """Shard 1 lacks word sets: by hand, its pairs that reach `near` are not scored."""
    output = tmp_path / "out"
    shutil.copytree(world / "out", output)
    (output / "scores" / "word_sets" / "1.parquet").unlink()
    found = replay(recipe(), recipe(), str(output))
    assert dropped_of(found.most) == referee(50, 7, 0.6, {1}, True)
    assert dropped_of(found.least) == referee(50, 7, 0.6, {1}, False)
    reach = sum(
        SIDES[(number + 1) % 3] > 50 and len(caption.split()) <= 7
        for number, caption in enumerate(captions(1))
    )
    names = [one.name for one in found.most.filters]
    assert dict(zip(names, found.not_scored, strict=True)) == dict.fromkeys(names, 0) | {"near": reach}
    assert found.least.kept < found.most.kept
    table = {row[0]: row for row in found.table()[1]}
    assert table["near"][-1] == f"{reach}"
    assert table["kept"][5] == f"{found.least.kept} to {found.most.kept}"


def test_a_filter_that_was_not_scored_leaves_the_scores_of_others_valid(world):
    found = replay(recipe(min_characters=10), recipe(), str(world / "out"))
    names = [one.name for one in found.most.filters]
    reach = next(one for one in found.most.filters if one.name == "few_characters").seen
    assert dict(zip(names, found.not_scored, strict=True)) == dict.fromkeys(names, 0) | {
        "few_characters": reach
    }
    assert found.most.kept == replay(recipe(), recipe(), str(world / "out")).most.kept
    assert found.least.kept == 0


def test_a_damaged_score_file_counts_as_missing(world, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(world / "out", output)
    file = output / "scores" / "word_sets" / "2.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    found = replay(recipe(), recipe(), str(output))
    assert dropped_of(found.least) == referee(50, 7, 0.6, {2}, False)


def test_an_output_without_scores_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="holds no scores"):
        replay(recipe(), recipe(), str(tmp_path))


def test_today_is_what_is_committed(tmp_path):
    members: dict[str, bytes | str] = {}
    for number, side in enumerate((40, 60, 80)):
        members |= {f"{number}.jpg": picture(90, side), f"{number}.txt": "one two three"}
    write_tar(tmp_path / "raw" / "0.tar", members)
    committed = CurateConfig(min_side=50)
    (unit,) = find_units(str(tmp_path / "raw"))
    curate_one(unit, str(tmp_path / "out"), committed)
    # The base says 10, the commit 50, the change 70: the base is not asked.
    found = replay(CurateConfig(min_side=70), CurateConfig(min_side=10), str(Path(tmp_path, "out")))
    assert (found.today.kept, found.most.kept) == (2, 1)
    assert found.as_json()["today"]["filters"][0]["words"] == "keeps: shorter side above 50 px"
