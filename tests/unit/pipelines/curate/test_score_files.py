"""Stored scores as rules over the corpus read them."""

import pytest
from curation import scanned, store
from curation_rules import FewLetters
from raw_shards import CAPTION, pairs, picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.curate.score_files import ScoreFiles

CONFIG = CurateConfig(min_side=64, rules={"e": FewLetters(letter="g")})


@pytest.fixture
def stored(tmp_path):
    """Two stored shards, of whose second one pair is too small; and their scans."""
    write_tar(tmp_path / "raw" / "0.tar", pairs(2))
    small = {"a.jpg": picture(40, 40), "a.txt": CAPTION, "b.jpg": picture(), "b.txt": "a b c"}
    write_tar(tmp_path / "raw" / "1.tar", small | pairs(1))
    scans = [scanned(unit, CONFIG) for unit in find_units(str(tmp_path / "raw"))]
    for scores in scans:
        store(scores, str(tmp_path / "out"), CONFIG)
    return ScoreFiles(str(tmp_path / "out"), ("0", "1"), (2, 3), make_plan(CONFIG)), scans


def test_columns_of_all_groups_in_the_order_that_is_asked(stored):
    source, scans = stored
    assert (source.count, source.name(1), source.rows(1)) == (2, "1", 3)
    names = ["letters", "caption_key", "words", "key"]
    for shard in range(2):
        table = source.load(shard, names)
        assert table.column_names == names
        assert table.equals(scans[shard].columns(names))
    assert source.load(1, []).num_columns == 0


def test_passing_is_what_the_rules_of_one_pair_say(stored):
    source, _ = stored
    assert source.passing(0).tolist() == [True, True]
    assert source.passing(1).tolist() == [False, False, True]  # too small; without a g
