"""The pairs on either side of a limit, by hand; through a whole run: `tests/cases/curation/test_matching.py`."""

import base64
import io
from typing import Literal

import numpy as np
import pytest
from curation import curate_one
from curation_rules import FewLetters
from PIL import Image
from raw_shards import picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.nearest import nearest_pairs
from pipelines.curate.plan import make_plan
from pipelines.shards.unit import Unit


class MarginLetters(FewLetters):
    """FewLetters whose nearest pairs are shown; nothing decides about 3 letters."""

    kind: Literal["margin_letters"] = "margin_letters"

    def margins(self, table):
        letters = table.column("letters").to_numpy().astype(np.float64)
        return np.where(letters == 3, np.nan, letters - self.least)


class Hiding(FewLetters):
    """Its rejected pairs may not be shown."""

    kind: Literal["hiding"] = "hiding"

    @property
    def hides_content(self):
        return True


@pytest.fixture
def shown(tmp_path):
    """The keys and values of the nearest pairs; a key is the number of letters e, negative ones are small pictures."""
    members: dict[str, bytes | str] = {}
    for key, count in (("0", 0), ("1", 1), ("2", 2), ("3", 3), ("4", 4), ("5", 5), ("6", 6), ("small", 4)):
        members[f"{key}.jpg"] = picture(60, 20 if key == "small" else 60, seed=count)
        members[f"{key}.txt"] = "e" * count + " a b c"
    path = write_tar(tmp_path / "raw" / "0.tar", members)
    unit = Unit("0", str(path), path.stat().st_size)

    def run(most: int, **rules):
        config = CurateConfig(min_side=30, rules=rules)
        curate_one(unit, str(tmp_path / "out"), config)
        return nearest_pairs(str(tmp_path / "out"), make_plan(config), most)

    return run


def test_they_go_outwards_from_the_limit_without_pairs_that_did_not_come_so_far(shown):
    found = shown(2, near=MarginLetters(least=4))["near"]
    assert [(one["key"], one["value"]) for one in found] == [
        ("2", "2 below"), ("1", "3 below"), ("4", "0 above"), ("5", "1 above"),
    ]  # fmt: skip
    with Image.open(io.BytesIO(base64.b64decode(found[0]["picture"]))) as small:
        assert small.size == (60, 60)
    assert found[0]["caption"] == "ee a b c"
    assert found[0]["limit"] == "4"


def test_what_may_not_be_shown_is_not(shown):
    found = shown(9, near=MarginLetters(least=4), hidden=Hiding(least=2))["near"]
    assert [one["key"] for one in found] == ["2", "4", "5", "6"]


def test_other_rules_have_none(shown):
    assert shown(3, plain=FewLetters(least=4)) == {}
    assert shown(0, near=MarginLetters(least=4)) == {}
