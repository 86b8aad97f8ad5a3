"""Stored scores as rules over the corpus read them."""

from dataclasses import replace

import pyarrow as pa
import pytest
from curation import scanned, store
from curation_rules import FewLetters
from raw_shards import CAPTION, pairs, picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.inputs import find_units
from pipelines.curate.look.group import empty_table
from pipelines.curate.look.perceptual import PdqScores
from pipelines.curate.plan import make_plan
from pipelines.curate.score_files import ScoreFiles
from pipelines.curate.scores.storage import save_scores, with_table

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


class Before:
    """What two rules over the corpus have dropped of each shard."""

    def drops(self, name: str) -> dict[int, pa.Table]:
        of_name = {"0": ([1], []), "1": ([], [2 + (1 << 32)])}[name]
        tables = [pa.table([ranks, [-1] * len(ranks), [0.0] * len(ranks)], schema=DROPS) for ranks in of_name]
        return dict(enumerate(tables, 4))


def test_what_earlier_rules_dropped_does_not_pass(stored):
    source, _ = stored
    after = replace(source, dropped=Before())
    assert after.passing(0).tolist() == [True, False]
    assert after.passing(1).tolist() == [False, False, False]
    assert source.passing(0).tolist() == [True, True]


def test_a_pair_whose_image_does_not_decode_does_not_pass(stored):
    """With a rule that looks, the columns of its group can be read too, and faults count against a pair."""
    source, scans = stored
    near = CurateConfig(min_side=64, rules={**CONFIG.rules, "near": {"kind": "near_images"}})
    group = PdqScores()
    for scores, faults in zip(scans, ([None, "truncated_image: x"], [None, None, None]), strict=True):
        table = empty_table(group, len(faults)).set_column(3, "pdq_fault", pa.array(faults, pa.string()))
        save_scores(with_table(scores, group, table), [group], source.output)
    looking = replace(source, plan=make_plan(near))
    assert looking.passing(0).tolist() == [True, False]
    assert looking.passing(1).tolist() == [False, False, True]
    names = ["pdq_fault", "letters", "pdq_quality"]
    assert looking.load(0, names).column_names == names
    assert looking.load(0, ["pdq_fault"]).column(0).to_pylist() == [None, "truncated_image: x"]
