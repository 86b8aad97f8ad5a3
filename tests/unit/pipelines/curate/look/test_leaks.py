"""Scores of the look against the functions of the hash and a search by hand."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from raw_shards import picture, write_tar

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.hashes import caption_key, xxh3
from data_filters.leakage import FAR
from pipelines.curate.look.leaks import LeakScores
from pipelines.curate.look.perceptual import PdqScores
from pipelines.curate.look.picture import Picture
from pipelines.leaks.build import build_index

TESTED = [picture(seed=seed) for seed in (1, 2)]


class Shown(Picture):
    """A picture that is decoded already."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image

    def decoded(self, at_least: int) -> Image.Image:
        return self.image


@pytest.fixture
def index(tmp_path) -> str:
    tar = write_tar(tmp_path / "0.tar", {"a.jpg": TESTED[0], "a.txt": "a tested caption", "b.jpg": TESTED[1]})
    return build_index([str(tar)], str(tmp_path / "leaks.parquet"), workers=1).output


def test_pictures_and_captions_are_looked_up(index):
    mirrored = decode(TESTED[1]).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    shown = [
        decode(TESTED[0]),
        mirrored.resize((240, 200)),
        decode(picture(seed=9)),
        Image.new("RGB", (80, 80)),
    ]
    looked = PdqScores().measure([Shown(image) for image in shown])
    assert looked.schema == PdqScores().schema()
    assert np.array(looked["pdq_quality"].to_pylist()[:3]).min() >= 50
    assert looked["pdq_quality"][3].as_py() == 0
    facts = pa.table(
        {
            "pdq": looked["pdq"],
            "image_hash": pa.array([xxh3(TESTED[0]), xxh3(b"1"), xxh3(b"2"), xxh3(b"3")], pa.binary(16)),
            "caption_key": pa.array(
                [caption_key(t) for t in ("x", "y", "A tested\ncaption", "z")], pa.binary(16)
            ),
        }
    )
    scores = pickle.loads(pickle.dumps(LeakScores((index,))))
    found = scores.derive(facts)
    assert found.schema == scores.schema()
    bits = found["leak_distance"].to_pylist()
    assert bits[0] == 0
    assert 0 < bits[1] <= 16
    assert bits[2:] == [FAR, FAR]
    assert found["leak_entry"].to_pylist() == [0, 1, 0, -1]
    assert found["leak_bytes"].to_pylist() == [True, False, False, False]
    assert found["leak_caption"].to_pylist() == [False, False, True, False]


def test_a_pair_without_a_hash_is_looked_up_by_its_bytes(index):
    facts = pa.table(
        {
            "pdq": pa.array([None, bytes(32)], pa.binary(32)),
            "image_hash": pa.array([xxh3(TESTED[1]), xxh3(b"")], pa.binary(16)),
            "caption_key": pa.array([caption_key("x")] * 2, pa.binary(16)),
        }
    )
    found = LeakScores((index,)).derive(facts)
    assert found["leak_distance"].to_pylist() == [None, FAR]
    assert found["leak_bytes"].to_pylist() == [True, False]
    assert PdqScores().measure([]).num_rows == LeakScores((index,)).derive(facts.slice(0, 0)).num_rows == 0


def test_settings_change_with_the_index_and_its_order(index, tmp_path):
    write_tar(tmp_path / "1.tar", {"a.jpg": picture(seed=3)})
    other = build_index([str(tmp_path / "1.tar")], str(tmp_path / "o.parquet"), workers=1)
    one, both = LeakScores((index,)).settings(), LeakScores((index, other.output)).settings()
    assert both["index"] == [*one["index"], other.sha256]
    assert LeakScores((other.output, index)).settings() != both
    assert set(PdqScores().settings()) == {"hash"}
    with pytest.raises(InputError, match="does not exist"):
        LeakScores((str(tmp_path / "nothing"),)).settings()
