"""Textbook figures that come more than once, and the book that is not English, are found in the shards as they are."""

import json
import re
import tarfile

import pyarrow.parquet as pq
import pytest
from without_ray import without_ray

from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate


@pytest.fixture(autouse=True)
def _without_ray(monkeypatch, no_ray):
    without_ray(monkeypatch)


def recipe(**rule) -> CurateConfig:
    """One rule, and none in front of it."""
    return CurateConfig(filters=("one",), rules={"one": rule}, examples=0)


def test_repeated_images_and_captions_and_the_polish_book(shared_data, tmp_path):
    """Pairs less distinct images, captions, or both, each counted by Counter over the bytes in the tars: 93, 118, 71."""
    raw, output = shared_data / "openstax" / "raw", tmp_path / "out"
    language = curate(recipe(kind="language", allow=["en"]), str(raw), str(output))
    assert language.pairs == 2470
    status = pq.read_table(output / "status").to_pylist()
    foreign = {row["key"] for row in status if row["rule"] == "one"}
    polish, english = set(), set()
    for path in sorted(raw.glob("*.tar")):
        with tarfile.open(path) as tar:
            texts = {one: tar.extractfile(one).read() for one in tar.getnames() if one.endswith((".txt", ".json"))}
        for name in [name for name in texts if name.endswith(".json")]:
            key = name.removesuffix(".json")
            if "osbooks-psychologia" not in json.loads(texts[name])["source"]:
                english.add(key)
            elif re.search("[ąćęłńśźż]", texts[f"{key}.txt"].decode()):
                polish.add(key)
    assert len(polish) > 40
    assert polish <= foreign
    assert len(foreign & english) < 0.005 * len(english)

    for of, repeated in (("image", 93), ("caption", 118), ("both", 71)):
        rule = recipe(kind="duplicates", of=of, keep="first")
        found = curate(rule, str(raw), str(tmp_path / of), scores=str(output), dry_run=True)
        assert (found.rejected, found.kept) == ({"one": repeated}, 2470 - repeated)
