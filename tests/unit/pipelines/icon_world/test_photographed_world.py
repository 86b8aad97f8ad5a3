"""Worlds with photographs behind the objects and shapes beside them: splits, determinism, record, refusals."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from raw_shards import picture
from world_files import digests, samples

from data_filters.errors import InputError
from pipelines.icon_world import WorldSummary, render_world

SPLITS = ("train", "test", "unseen")
SMALL = {"image_size": 64, "samples_per_shard": 40, "test_pairs": 30, "unseen_pairs": 25, "names": 12}
BOTH = {**SMALL, "seed": 3, "flaws": True, "distractors": 4}
GREYS = range(2, 254, 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """42 photographs, each of one grey."""
    folder = tmp_path_factory.mktemp("photographs")
    for grey in GREYS:
        Image.new("RGB", (30, 24), (grey, grey, grey)).save(folder / f"{grey}.png")
    return folder


@pytest.fixture(scope="module")
def world(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    output = tmp_path_factory.mktemp("world") / "out"
    return output, render_world(str(output), 200, backgrounds=str(folder), workers=1, **BOTH)


def grey_behind(members: dict[str, bytes]) -> int:
    """Which photograph lies behind a picture, by its corner, where no object lies."""
    corner = int(np.asarray(Image.open(io.BytesIO(members["jpg"])).convert("L"))[0, 0])
    return min(GREYS, key=lambda grey: abs(grey - corner))


def test_no_photograph_lies_behind_scenes_of_two_splits(folder: Path, tmp_path: Path) -> None:
    summary = render_world(str(tmp_path / "w"), 250, backgrounds=str(folder), workers=1, **SMALL)
    behind = {
        split: {grey_behind(members) for members in samples(tmp_path / "w", split).values()}
        for split in SPLITS
    }
    assert sum(summary.photographs.values()) == len(GREYS)
    assert {split: len(greys) for split, greys in behind.items()} == summary.photographs
    assert set.union(*behind.values()) == set(GREYS)


def test_captions_say_no_word_of_the_background(world: tuple[Path, WorldSummary]) -> None:
    for split in SPLITS:
        for members in samples(world[0], split).values():
            assert b"background" not in members["txt"]
            assert json.loads(members["json"])["background"] == "photograph"


def test_objects_and_captions_are_those_of_the_world_without(folder: Path, tmp_path: Path) -> None:
    """But for the words of a background, which end the caption."""
    render_world(str(tmp_path / "plain"), 60, workers=1, **SMALL)
    render_world(str(tmp_path / "w"), 60, backgrounds=str(folder), workers=1, **SMALL)
    shortened = 0
    for split in SPLITS:
        plain, other = samples(tmp_path / "plain", split), samples(tmp_path / "w", split)
        assert plain.keys() == other.keys()
        for key, members in plain.items():
            without, truth = json.loads(members["json"]), json.loads(other[key]["json"])
            words = without.pop("caption").removesuffix(" background")
            caption = truth.pop("caption")
            assert words.startswith(caption)
            assert words[len(caption) :] in ("", " on a plain", " on a smoothly shaded", " on a noisy")
            shortened += words != caption
            assert without.pop("background") != truth.pop("background")
            assert without == truth
    assert shortened > 3


def test_workers_and_names_of_files_decide_nothing(
    world: tuple[Path, WorldSummary], folder: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for file in folder.iterdir():
        (renamed / f"{999 - int(file.stem)}{file.suffix}").write_bytes(file.read_bytes())
    render_world(str(tmp_path / "w"), 200, backgrounds=str(renamed), workers=2, **BOTH)
    assert digests(tmp_path / "w") == digests(world[0])


def test_smaller_world_is_a_prefix(world: tuple[Path, WorldSummary], folder: Path, tmp_path: Path) -> None:
    render_world(str(tmp_path / "w"), 45, backgrounds=str(folder), workers=1, **BOTH)
    whole, part = samples(world[0], "train"), samples(tmp_path / "w", "train")
    assert list(part) == list(whole)[:45]
    assert all(part[key] == whole[key] for key in part)


def test_the_record_names_both_where_they_are_used(world: tuple[Path, WorldSummary], tmp_path: Path) -> None:
    record = json.loads((world[0] / "world.json").read_text())
    assert record["distractors"] == 4
    assert record["backgrounds"]["photographs"] == world[1].photographs
    assert len(bytes.fromhex(record["backgrounds"]["sha256"])) == 32
    render_world(str(tmp_path / "w"), 5, workers=1, **SMALL)
    assert list(json.loads((tmp_path / "w" / "world.json").read_text())) == [
        *("version", "seed", "image_size", "names", "single_share", "samples_per_shard", "pairs", "flaws")
    ]


def test_pictures_that_cannot_be_read_are_named_in_the_summary(folder: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for file in folder.iterdir():
        (mixed / file.name).symlink_to(file)
    (mixed / "cut.jpg").write_bytes(picture(seed=1)[:-300])
    summary = render_world(str(tmp_path / "w"), 5, backgrounds=str(mixed), workers=1, **SMALL)
    assert sum(summary.photographs.values()) == len(GREYS)
    (named,) = summary.unreadable
    assert named.startswith("cut.jpg: truncated_image")
    clean = render_world(str(tmp_path / "c"), 5, backgrounds=str(folder), workers=1, **SMALL)
    assert clean.unreadable == []
    assert digests(tmp_path / "c") == digests(tmp_path / "w")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"backgrounds": "absent"}, "backgrounds .*absent does not exist; give a folder with photographs"),
        ({"distractors": 7}, "distractors is 7; allowed are 0 to 6; set distractors"),
        ({"distractors": -1}, "distractors is -1; allowed are 0 to 6; set distractors"),
        (
            {"distractors": 1, "names": 188},
            "distractors is 1; .* with names 188 none is left.*; set names lower",
        ),
    ],
)
def test_wrong_values_are_one_line_and_leave_nothing(
    tmp_path: Path, wrong: dict[str, str | int], named: str
) -> None:
    if "backgrounds" in wrong:
        wrong = {"backgrounds": str(tmp_path / str(wrong["backgrounds"]))}
    with pytest.raises(InputError, match=named) as error:
        render_world(str(tmp_path / "w"), 5, **{**SMALL, **wrong})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "w").exists()


def test_a_world_over_a_real_shard(shared_data: Path, tmp_path: Path) -> None:
    """Corners of its pictures, where no object lies, are not those of a drawn background."""
    shard = shared_data / "coco" / "00000.tar"
    if not shard.exists():
        pytest.skip(f"no shard of COCO at {shard}")
    summary = render_world(
        str(tmp_path / "w"), 60, backgrounds=str(shard.parent), distractors=2, workers=1, **SMALL
    )
    assert min(summary.photographs.values()) >= 1
    pictures = [
        np.asarray(Image.open(io.BytesIO(members["jpg"])).convert("RGB")).astype(int)
        for members in samples(tmp_path / "w", "train").values()
    ]
    spread = [int(np.ptp(pixels.reshape(-1, 3), axis=0).max()) for pixels in pictures]
    corners = {tuple(pixels[0, 0]) for pixels in pictures}
    assert np.median(spread) > 200
    assert len(corners) > 50
