"""The written world: layout, splits, byte-for-byte determinism, refusals."""

import io
import json
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image
from world_files import digests, samples

from data_filters.errors import InputError
from pipelines.icon_world import COLORS, NAMES, WorldSummary, render_world
from pipelines.icon_world.vocabulary import BACKGROUND_COLORS, first_names, held_out_color
from pipelines.shards.reader import iterate, read_index, read_members

SMALL = {"image_size": 96, "samples_per_shard": 40, "test_pairs": 30, "unseen_pairs": 25}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    folder = tmp_path_factory.mktemp("world") / "out"
    return folder, render_world(str(folder), 100, seed=3, flaws=True, workers=1, **SMALL)


def test_layout(world: tuple[Path, WorldSummary]) -> None:
    folder, summary = world
    assert summary.pairs == {"train": 100, "test": 30, "unseen": 25}
    tars = [str(folder / part) for part in ("train/00000.tar", "train/00001.tar", "train/00002.tar")]
    assert summary.shards == [*tars, str(folder / "test/00000.tar"), str(folder / "unseen/00000.tar")]
    assert summary.size == sum(Path(tar).stat().st_size for tar in summary.shards)
    assert json.loads((folder / "world.json").read_text())["pairs"] == summary.pairs
    for split, count in summary.pairs.items():
        found = samples(folder, split)
        assert len(found) == count
        for members in found.values():
            assert sorted(members) == ["jpg", "json", "txt"]


def test_metadata_tells_caption_image_and_split(world: tuple[Path, WorldSummary]) -> None:
    folder, _ = world
    for split in ("test", "unseen"):
        for members in samples(folder, split).values():
            truth = json.loads(members["json"])
            assert members["txt"].decode() == truth["caption"]
            assert (
                Image.open(io.BytesIO(members["jpg"])).size == (truth["width"], truth["height"]) == (96, 96)
            )
            assert truth["split"] == split
            assert truth["background"] in ("plain", "gradient", "noise")
            assert 1 <= len(truth["objects"]) <= 4


def test_index_reads_single_members(world: tuple[Path, WorldSummary]) -> None:
    _, summary = world
    tar = summary.shards[-1]
    streamed = dict(iterate(tar))
    members = read_index(tar)[::7]
    for member, data in zip(members, read_members(tar, members), strict=True):
        assert streamed[member.key][member.extension] == data


def test_same_seed_same_bytes_however_many_workers(world: tuple[Path, WorldSummary], tmp_path: Path) -> None:
    folder, _ = world
    again = render_world(str(tmp_path / "two"), 100, seed=3, flaws=True, workers=2, **SMALL)
    assert again.pairs == world[1].pairs
    assert again.flaws == world[1].flaws
    assert digests(tmp_path / "two") == digests(folder)


def test_other_seed_other_pictures(world: tuple[Path, WorldSummary], tmp_path: Path) -> None:
    folder, _ = world
    render_world(str(tmp_path / "other"), 100, seed=4, flaws=True, workers=1, **SMALL)
    here, there = samples(folder, "test"), samples(tmp_path / "other", "test")
    assert here.keys() == there.keys()
    assert all(here[key]["jpg"] != there[key]["jpg"] for key in here)


def test_smaller_world_is_a_prefix(world: tuple[Path, WorldSummary], tmp_path: Path) -> None:
    folder, _ = world
    render_world(
        str(tmp_path / "half"), 45, seed=3, flaws=True, workers=1, **{**SMALL, "samples_per_shard": 20}
    )
    whole, half = samples(folder, "train"), samples(tmp_path / "half", "train")
    assert list(half) == list(whole)[:45]
    assert all(half[key] == whole[key] for key in half)


def test_splits_share_no_color_name_pair_with_unseen(tmp_path: Path) -> None:
    render_world(str(tmp_path / "w"), 250, seed=1, image_size=64, test_pairs=100, unseen_pairs=250, workers=1)
    seen: dict[str, set[tuple[str, str]]] = {}
    for split in ("train", "test", "unseen"):
        truths = [json.loads(members["json"]) for members in samples(tmp_path / "w", split).values()]
        seen[split] = {(thing["name"], thing["color"]) for truth in truths for thing in truth["objects"]}
    assert not seen["unseen"] & (seen["train"] | seen["test"])
    assert {color for _, color in seen["unseen"]} == set(COLORS)
    assert len({name for name, _ in seen["train"]}) > 0.85 * len(NAMES)


def test_held_out_colors_are_balanced() -> None:
    held_out = list(held_out_color().values())
    counts = [held_out.count(color) for color in COLORS]
    assert sum(counts) == len(NAMES)
    assert max(counts) - min(counts) <= 1


def test_world_of_few_names_shows_just_those(tmp_path: Path) -> None:
    small = {**SMALL, "test_pairs": 40, "unseen_pairs": 40}
    render_world(str(tmp_path / "w"), 60, names=16, workers=1, **small)
    names = json.loads((tmp_path / "w" / "world.json").read_bytes())["names"]
    assert len(names) == 16
    for split in ("train", "test", "unseen"):
        truths = [json.loads(members["json"]) for members in samples(tmp_path / "w", split).values()]
        assert {thing["name"] for truth in truths for thing in truth["objects"]} <= set(names)
    assert set(first_names(16)) < set(first_names(40)) < set(first_names(len(NAMES))) == set(NAMES)
    colors = [held_out_color()[name] for name in names]
    assert max(colors.count(color) for color in COLORS) == min(colors.count(color) for color in COLORS)
    with pytest.raises(InputError, match="names is 7; allowed are 8 to"):
        render_world(str(tmp_path / "x"), 60, names=7, workers=1, **small)


def test_single_share_changes_training_scenes_alone(tmp_path: Path) -> None:
    for share in (0.2, 0.9):
        render_world(str(tmp_path / str(share)), 200, single_share=share, workers=1, **SMALL)

    def singles(share: float) -> float:
        truths = [json.loads(members["json"]) for members in samples(tmp_path / str(share), "train").values()]
        return sum(len(truth["objects"]) == 1 for truth in truths) / len(truths)

    assert 0.1 < singles(0.2) < 0.3 < 0.82 < singles(0.9) < 0.98
    assert samples(tmp_path / "0.2", "test") == samples(tmp_path / "0.9", "test")
    with pytest.raises(InputError, match="single_share is 1.1; allowed are 0 to 1"):
        render_world(str(tmp_path / "x"), 60, single_share=1.1, workers=1, **SMALL)


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    render_world(
        str(tmp_path / "w"), 60, workers=1, progress=lambda done, of: told.append((done, of)), **SMALL
    )
    assert told[0] == (0, 115)
    assert told[-1] == (115, 115)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_default_held_back_splits_follow_a_small_world(tmp_path: Path) -> None:
    assert render_world(str(tmp_path / "w"), 7, image_size=64).pairs == {"train": 7, "test": 7, "unseen": 7}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"pairs": 0}, "pairs is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"image_size": 8}, "image_size is 8"),
        ({"samples_per_shard": 0}, "samples_per_shard is 0"),
        ({"flaws": True, "test_pairs": 0}, "test_pairs is 0"),
    ],
)
def test_out_of_range_is_one_clear_line(tmp_path: Path, wrong: dict[str, int], named: str) -> None:
    with pytest.raises(InputError, match=named) as error:
        render_world(str(tmp_path / "w"), **{"pairs": 5, **wrong})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "w").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        render_world(str(tmp_path), 5)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def lab(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    """CIE L*a*b* (D65) of an sRGB colour."""
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in rgb))
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def difference(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """CIE 1976 colour difference; 2.3 is just noticeable."""
    return sum((p - q) ** 2 for p, q in zip(lab(a), lab(b), strict=True)) ** 0.5


def test_colors_are_far_apart_and_visible_on_every_background() -> None:
    assert len(COLORS) == 8
    assert min(difference(a, b) for a, b in combinations(COLORS.values(), 2)) > 40
    assert min(difference(a, b) for a in COLORS.values() for b in BACKGROUND_COLORS.values()) > 45


def test_names_are_many_distinct_words() -> None:
    assert len(NAMES) >= 150
    for a, b in combinations(NAMES, 2):
        assert not set(a.split()) <= set(b.split()), (a, b)
        assert not set(b.split()) <= set(a.split()), (a, b)
