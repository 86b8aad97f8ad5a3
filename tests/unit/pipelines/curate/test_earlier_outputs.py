"""Outputs of earlier curations: their shards in order, what is kept of them, and what is refused."""

import pytest
from curation import curate_one
from curation_rules import FewLetters, SameCaption
from raw_shards import CAPTION, pairs, picture, write_tar

from data_filters.errors import InputError
from pipelines.curate.config import CurateConfig
from pipelines.curate.earlier_outputs import earlier_outputs
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan

CONFIG = CurateConfig(min_side=64)
PLAN = make_plan(CONFIG)


@pytest.fixture
def outputs(tmp_path):
    """Two outputs: `b` of the shards 0 and 1, `a` of 2; a pair of 1 is too small. With the decisions by place."""
    small = {"a.jpg": picture(40, 40), "a.txt": CAPTION}
    for output, shards in (("b", {"1": small | pairs(2), "0": pairs(3)}), ("a", {"2": pairs(1)})):
        for name, members in shards.items():
            write_tar(tmp_path / f"raw-{output}" / f"{name}.tar", members)
    found = [
        curate_one(unit, str(tmp_path / output), CONFIG)
        for output in ("b", "a")
        for unit in find_units(str(tmp_path / f"raw-{output}"))
    ]
    return [str(tmp_path / output) for output in ("b", "a")], found


def test_no_outputs_are_none():
    assert earlier_outputs((), PLAN) is None


def test_shards_stand_output_after_output_each_by_name(outputs):
    uris, found = outputs
    earlier = earlier_outputs(uris, PLAN)
    assert [earlier.name(shard) for shard in range(earlier.count)] == [
        f"{uris[0]}/0",
        f"{uris[0]}/1",
        f"{uris[1]}/2",
    ]
    assert [earlier.rows(shard) for shard in range(3)] == [3, 3, 1]
    assert earlier.passing(1).tolist() == [False, True, True]
    names = ["caption_key", "words", "key"]
    for shard, (scores, decision, _) in enumerate(found):
        assert earlier.passing(shard).nonzero()[0].tolist() == decision.kept.tolist()
        assert earlier.load(shard, names).equals(scores.columns(names))
    turned = earlier_outputs(uris[::-1], PLAN)
    assert [turned.name(shard).rpartition("/")[2] for shard in range(3)] == ["2", "0", "1"]


def test_the_key_names_outputs_and_what_is_kept_of_them(outputs, tmp_path):
    uris, _ = outputs
    key = earlier_outputs(uris, PLAN).key
    assert earlier_outputs(uris, PLAN).key == key
    assert len({key, earlier_outputs(uris[:1], PLAN).key, earlier_outputs(uris[::-1], PLAN).key}) == 3
    (unit,) = find_units(str(tmp_path / "raw-a"))
    curate_one(unit, uris[1], CurateConfig(min_side=9999))  # it keeps nothing now
    assert earlier_outputs(uris, PLAN).key != key


def test_what_is_no_output_and_one_without_the_scores_are_refused(outputs, tmp_path):
    uris, _ = outputs
    with pytest.raises(
        InputError, match=r"^against: .*raw-a is no output of `loupe curate` with scores; give"
    ):
        earlier_outputs([str(tmp_path / "raw-a")], PLAN)

    class ByLetters(SameCaption):
        def groups(self):
            return FewLetters().groups()

    other = make_plan(CurateConfig(rules={"same": ByLetters()}))
    with pytest.raises(InputError, match=r"^against: .*/b holds no scores letters of 0 .* --update`"):
        earlier_outputs(uris, other)
    # Rules over one pair are not asked about earlier pairs.
    assert earlier_outputs(uris, make_plan(CurateConfig(rules={"e": FewLetters()}))).count == 3
