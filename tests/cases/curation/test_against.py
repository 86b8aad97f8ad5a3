"""`against`: what earlier outputs keep counts as earlier; of a new corpus its copies go, of the old nothing does."""

import tarfile

import pytest
from raw_shards import picture, write_tar
from without_ray import without_ray

from data_filters.errors import InputError
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate

RULES = {
    "image": {"kind": "duplicates", "of": "image", "keep": "first"},
    "caption": {"kind": "duplicates", "of": "caption", "keep": "first"},
    "near": {"kind": "near_captions", "min_similarity": 0.8},
}
OVERLAP = range(14, 20)  # 6 of 20 pairs, 30%


@pytest.fixture(autouse=True)
def _without_ray(monkeypatch, no_ray):
    without_ray(monkeypatch)


def words(number: int) -> str:
    """Ten words that no other number shares more than two of."""
    return " ".join(f"w{number}x{place}" for place in range(8)) + " on grass"


def shards(folder, numbers, prefix: str) -> None:
    """Two shards; of pair N the picture and the caption are those of N wherever it stands."""
    numbers = list(numbers)
    for name, part in (("0", numbers[: len(numbers) // 2]), ("1", numbers[len(numbers) // 2 :])):
        members = {}
        for number in part:
            members[f"{prefix}{number:02}.jpg"] = picture(90, 80, seed=number)
            members[f"{prefix}{number:02}.txt"] = words(number)
        write_tar(folder / f"{name}.tar", members)


def keys(output) -> set[str]:
    found = set()
    for path in output.glob("*.tar"):
        with tarfile.open(path) as tar:
            found |= {name.removesuffix(".txt") for name in tar.getnames() if name.endswith(".txt")}
    return found


def everything(output) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.mark.parametrize("rule", RULES)
def test_of_an_overlap_of_30_percent_all_of_the_new_goes_and_none_of_the_old(tmp_path, rule):
    config = CurateConfig(min_side=64, rules={rule: RULES[rule]}, examples=0)
    shards(tmp_path / "old", range(20), "old")
    shards(tmp_path / "new", [*OVERLAP, *range(20, 34)], "new")
    assert curate(config, str(tmp_path / "old"), str(tmp_path / "first")).kept == 20
    before = everything(tmp_path / "first")
    update = {"against": (str(tmp_path / "first"),)}
    summary = curate(config.model_copy(update=update), str(tmp_path / "new"), str(tmp_path / "second"))
    assert summary.rejected[rule] == len(OVERLAP)
    assert keys(tmp_path / "second") == {f"new{number:02}" for number in range(20, 34)}
    assert everything(tmp_path / "first") == before
    # Without it nothing goes.
    assert curate(config, str(tmp_path / "new"), str(tmp_path / "alone")).kept == 20


def test_pairs_that_the_earlier_output_rejects_do_not_count(tmp_path):
    shards(tmp_path / "old", range(4), "old")
    shards(tmp_path / "new", range(4), "new")
    config = CurateConfig(min_side=85, rules={"image": RULES["image"]}, examples=0)  # all are 80 px high
    assert curate(config, str(tmp_path / "old"), str(tmp_path / "first")).kept == 0
    update = {"min_side": 64, "against": (str(tmp_path / "first"),)}
    summary = curate(config.model_copy(update=update), str(tmp_path / "new"), str(tmp_path / "second"))
    assert summary.kept == 4


@pytest.mark.parametrize("kind", ["missing", "empty folder", "raw shards"])
def test_what_is_no_output_is_refused_before_anything_is_written(tmp_path, kind):
    shards(tmp_path / "new", range(4), "new")
    place = tmp_path / ("new" if kind == "raw shards" else "there")
    if kind == "empty folder":
        place.mkdir()
    config = CurateConfig(min_side=64, rules={"image": RULES["image"]}, against=(str(place),))
    with pytest.raises(InputError, match="^against: .* is no output of `loupe curate`") as told:
        curate(config, str(tmp_path / "new"), str(tmp_path / "out"))
    assert "\n" not in str(told.value)
    assert not list((tmp_path / "out").rglob("*.parquet"))
