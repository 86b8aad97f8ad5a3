"""Every flaw that ground_truth.parquet lists is in the data, and nothing that it does not list is flawed."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipelines.icon_world import COLORS, FLAWS_PER_BLOCK, WorldSummary, render_world
from pipelines.icon_world.foreign import LANGUAGES
from pipelines.shards.reader import iterate

PAIRS = 300
Members = dict[str, bytes]


class Corpus:
    """A flawed world, read back."""

    def __init__(self, folder: Path) -> None:
        self.summary: WorldSummary = render_world(
            str(folder), PAIRS, seed=7, image_size=128, flaws=True, test_pairs=40, unseen_pairs=0, workers=1
        )
        self.rows = pq.read_table(folder / "ground_truth.parquet").to_pylist()
        self.train: dict[str, Members] = dict(iterate(str(folder / "train" / "00000.tar")))
        self.test: dict[str, Members] = dict(iterate(str(folder / "test" / "00000.tar")))
        self.flaw = {row["key"]: row["flaw"] for row in self.rows}

    def listed(self, flaw: str) -> set[str]:
        return {row["key"] for row in self.rows if row["flaw"] == flaw}

    def keys_where(self, true_of) -> set[str]:
        """Training keys whose members fulfil a condition."""
        return {key for key, members in self.train.items() if true_of(members)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("flaws") / "w")


def size(members: Members) -> tuple[int, int] | None:
    """Width and height by the header, None when there is none."""
    try:
        return Image.open(io.BytesIO(members["jpg"])).size
    except UnidentifiedImageError:
        return None


def whole(members: Members) -> bool:
    try:
        Image.open(io.BytesIO(members["jpg"])).load()
    except OSError:
        return False
    return True


def words(members: Members) -> list[str]:
    return members["txt"].decode(errors="replace").split()


def test_counts(corpus: Corpus) -> None:
    counted = Counter(row["flaw"] for row in corpus.rows)
    assert corpus.summary.flaws == counted
    planted = {flaw: count for flaw, count in counted.items() if flaw != "repeated_caption"}
    assert planted == {flaw: count * PAIRS // 100 for flaw, count in FLAWS_PER_BLOCK.items()}
    assert len(corpus.flaw) == len(corpus.rows), "one row per key"
    assert [row["key"] for row in corpus.rows] == sorted(corpus.flaw)
    assert {row["split"] for row in corpus.rows} == {"train"}
    assert set(corpus.flaw) <= set(corpus.train)
    assert len(corpus.train) == PAIRS


def test_broken_images(corpus: Corpus) -> None:
    assert corpus.keys_where(lambda members: size(members) is None) == corpus.listed("broken_image")


def test_truncated_images_have_a_header_but_not_all_pixels(corpus: Corpus) -> None:
    cut = corpus.keys_where(lambda members: size(members) is not None and not whole(members))
    assert cut == corpus.listed("truncated_image")


def test_tiny_images(corpus: Corpus) -> None:
    assert corpus.keys_where(lambda members: min(size(members) or (999,)) <= 64) == corpus.listed(
        "tiny_image"
    )


def test_extreme_aspect(corpus: Corpus) -> None:
    def long(members: Members) -> bool:
        sides = size(members)
        return sides is not None and max(sides) > 10 * min(sides)

    assert corpus.keys_where(long) == corpus.listed("extreme_aspect")


def test_caption_lengths(corpus: Corpus) -> None:
    assert corpus.keys_where(lambda members: len(words(members)) < 3) == corpus.listed("short_caption")
    assert corpus.keys_where(lambda members: len(words(members)) > 100) == corpus.listed("long_caption")


def test_undecodable_captions(corpus: Corpus) -> None:
    def undecodable(members: Members) -> bool:
        try:
            members["txt"].decode()
        except UnicodeDecodeError:
            return True
        return False

    assert corpus.keys_where(undecodable) == corpus.listed("undecodable_caption")


def test_foreign_captions(corpus: Corpus) -> None:
    """Every English caption of the world has an English determiner or colour; the foreign ones have neither."""
    english = {*COLORS, "the", "there", "with", "photo", "picture"}
    short = corpus.listed("short_caption")
    foreign = corpus.keys_where(lambda members: not english & set(words(members))) - short
    bare = {key for key in foreign if corpus.flaw.get(key) != "foreign_caption"}
    assert foreign - bare == corpus.listed("foreign_caption")
    assert all({"a", "an"} & set(words(corpus.train[key])) for key in bare)
    assert {row["detail"] for row in corpus.rows if row["flaw"] == "foreign_caption"} <= set(LANGUAGES)


def test_duplicate_captions(corpus: Corpus) -> None:
    first: dict[bytes, str] = {}
    again = {
        key: first[m["txt"]] for key, m in corpus.train.items() if first.setdefault(m["txt"], key) != key
    }
    details = {row["key"]: row["detail"] for row in corpus.rows}
    assert corpus.listed("duplicate_caption") | corpus.listed("repeated_caption") == {
        key for key in again if corpus.flaw[key] in ("duplicate_caption", "repeated_caption")
    }
    assert all(corpus.flaw[key] for key in again)
    for key in corpus.listed("duplicate_caption"):
        source = details[key].removeprefix("duplicate_of=")
        assert source < key
        assert corpus.train[source]["txt"] == corpus.train[key]["txt"]


def pixels(members: Members, side: int) -> NDArray[np.float64]:
    image = (
        Image.open(io.BytesIO(members["jpg"])).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    )
    return np.asarray(image).astype(float)


def test_copies_of_test_images(corpus: Corpus) -> None:
    usable = set(corpus.train) - corpus.listed("broken_image") - corpus.listed("truncated_image")
    test = {key: pixels(members, 64) for key, members in corpus.test.items()}
    nearest = {}
    for key in usable:
        here = pixels(corpus.train[key], 64)
        nearest[key] = min((float(np.abs(here - there).mean()), source) for source, there in test.items())
    copies = {row["key"]: row["detail"] for row in corpus.rows if row["flaw"] == "test_image_copy"}
    assert {key for key, (away, _) in nearest.items() if away < 5} == set(copies)
    for key, detail in copies.items():
        assert detail == f"copy_of={nearest[key][1]}"
        assert corpus.train[key]["jpg"] not in {members["jpg"] for members in corpus.test.values()}


def test_shuffled_captions_name_nothing_in_the_picture(corpus: Corpus) -> None:
    borrowed = corpus.listed("shuffled_caption") | corpus.listed("duplicate_caption")
    foreign = corpus.listed("foreign_caption") | corpus.listed("undecodable_caption")
    for key in corpus.train.keys() - foreign:
        truth = json.loads(corpus.train[key]["json"])
        named = [thing["name"].split()[-1] in truth["caption"].split() for thing in truth["objects"]]
        if key in corpus.listed("shuffled_caption"):
            assert not any(named)
            assert truth["mentions"] == []
        elif key not in borrowed:
            assert any(named) or any(
                f"{t['name'].split()[-1]}," in truth["caption"] for t in truth["objects"]
            )


def test_boxes_follow_a_changed_image(corpus: Corpus) -> None:
    changed = ("tiny_image", "extreme_aspect", "test_image_copy")
    for key in set().union(*(corpus.listed(flaw) for flaw in changed)):
        truth = json.loads(corpus.train[key]["json"])
        image = np.asarray(Image.open(io.BytesIO(corpus.train[key]["jpg"])).convert("RGB")).astype(int)
        assert image.shape[:2] == (truth["height"], truth["width"])
        for thing in truth["objects"]:
            x, y, w, h = (round(value) for value in thing["box"])
            patch = image[y : y + h, x : x + w].reshape(-1, 3)
            near = {color: (np.abs(patch - rgb).sum(axis=1) < 120).sum() for color, rgb in COLORS.items()}
            assert near[thing["color"]] > 0.05 * w * h, (key, thing, near)
            assert 0 <= x <= x + w <= truth["width"] + 1
            assert 0 <= y <= y + h <= truth["height"] + 1


def test_boxes_of_distractors_follow_a_changed_image(tmp_path: Path) -> None:
    """All show their ink where their boxes lie, in pictures made smaller and in rows of tiles."""
    sizes = {"test_pairs": 40, "unseen_pairs": 0, "names": 12, "distractors": 4}
    render_world(str(tmp_path / "w"), 200, seed=7, image_size=128, flaws=True, workers=1, **sizes)
    rows = pq.read_table(tmp_path / "w" / "ground_truth.parquet").to_pylist()
    train = dict(iterate(str(tmp_path / "w" / "train" / "00000.tar")))
    changed = [
        row["key"] for row in rows if row["flaw"] in ("tiny_image", "extreme_aspect", "test_image_copy")
    ]
    shapes = 0
    for key in changed:
        truth = json.loads(train[key]["json"])
        image = np.asarray(Image.open(io.BytesIO(train[key]["jpg"])).convert("RGB")).astype(int)
        for shape in truth["distractors"]:
            x, y, w, h = (round(value) for value in shape["box"])
            patch = image[y : y + h, x : x + w].reshape(-1, 3)
            near = {color: (np.abs(patch - rgb).sum(axis=1) < 120).sum() for color, rgb in COLORS.items()}
            assert near[shape["color"]] > 0.05 * w * h, (key, shape, near)
            shapes += 1
    assert shapes >= 8


def test_without_the_flag_nothing_is_planted(tmp_path: Path) -> None:
    summary = render_world(
        str(tmp_path / "w"), 100, seed=7, image_size=64, test_pairs=0, unseen_pairs=0, workers=1
    )
    assert summary.flaws == {}
    assert not (tmp_path / "w" / "ground_truth.parquet").exists()
    for members in dict(iterate(str(tmp_path / "w" / "train" / "00000.tar"))).values():
        assert whole(members)
        assert size(members) == (64, 64)
        assert members["txt"].decode() == json.loads(members["json"])["caption"]
