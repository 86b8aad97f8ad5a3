"""Which scores of an output are there, are up to date, and which pairs lack some."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curation import scanned, store
from raw_shards import pairs, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.look.group import empty_table, stored_schema
from pipelines.curate.plan import Plan, make_plan
from pipelines.curate.scores.storage import save_scores, with_table
from pipelines.curate.stored_scores import SCORED, StoredScores, scored_shards, step_columns

CONFIG = CurateConfig(rules={"near": {"kind": "near_captions"}})


@pytest.fixture
def output(tmp_path):
    for shard, count in (("0", 2), ("1", 3)):
        write_tar(tmp_path / "raw" / f"{shard}.tar", pairs(count))
    for unit in find_units(str(tmp_path / "raw")):
        store(scanned(unit, CONFIG), str(tmp_path / "out"), CONFIG)
    return str(tmp_path / "out")


def stored(output: str, plan: Plan | None = None) -> StoredScores:
    return StoredScores(output, tuple(scored_shards(output)), plan or make_plan(CONFIG))


def test_shards_are_found_by_their_facts(output, tmp_path):
    found = scored_shards(output)
    assert [(one.name, one.rows, len(one.sha256)) for one in found] == [("0", 2, 64), ("1", 3, 64)]
    facts = tmp_path / "out" / "scores" / "facts" / "0.parquet"
    facts.write_bytes(facts.read_bytes()[:50])
    assert [one.name for one in scored_shards(output)] == ["1"]
    assert scored_shards(str(tmp_path / "nothing")) == []


def test_columns_come_from_their_groups_in_the_order_asked_for(output):
    table = stored(output).load(1, ["word_set", "key", "words"])
    assert table.column_names == ["word_set", "key", "words"]
    assert table.column("key").to_pylist() == ["ok00000", "ok00001", "ok00002"]
    assert table.column("words").to_pylist() == [10.0] * 3  # eight words, `number`, and the number itself


def test_a_file_of_other_settings_or_other_bytes_is_as_good_as_none(output, tmp_path):
    file = tmp_path / "out" / "scores" / "word_sets" / "1.parquet"
    table = pq.read_table(file)
    changed = table.schema.metadata[b"loupe"].replace(b'"version": ', b'"version": 9')
    pq.write_table(table.replace_schema_metadata({b"loupe": changed}), file)
    near = len(make_plan(CONFIG).steps) - 1
    found = stored(output).load(1, ["word_set", f"{SCORED}{near}", f"{SCORED}0"])
    assert found.column("word_set").to_pylist() == [None] * 3
    assert found.column(f"{SCORED}{near}").to_pylist() == [False] * 3
    assert found.column(f"{SCORED}0").to_pylist() == [True] * 3
    assert stored(output).load(0, [f"{SCORED}{near}"]).column(0).to_pylist() == [True] * 2


def test_each_filter_of_the_group_of_filters_counts_by_itself(output):
    plan = make_plan(CurateConfig(min_characters=5, rules=CONFIG.rules))
    flags = [f"{SCORED}{step}" for step in range(len(plan.steps))]
    row = stored(output, plan).load(0, flags).to_pylist()[0]
    names = {step.name: row[flag] for step, flag in zip(plan.steps, flags, strict=True)}
    assert not names.pop("few_characters")
    assert all(names.values())


class Brightness:
    """A group that looks; the tests store its values themselves."""

    name, version, at_least = "brightness", 1, 0

    def schema(self):
        return pa.schema([("brightness", pa.float64())])

    def settings(self):
        return {}


def test_a_pair_that_was_not_looked_at_lacks_the_scores_of_a_look(output, tmp_path):
    group = Brightness()
    plan = Plan(make_plan(CONFIG).steps, make_plan(CONFIG).groups, (group,))
    (unit, _) = find_units(str(tmp_path / "raw"))
    table = empty_table(group, 2)
    table = table.set_column(0, "brightness", pa.array([0.5, None], pa.float64()))
    table = table.set_column(1, table.schema.field(1), pa.array([True, False]))
    scores = with_table(scanned(unit, CONFIG), group, table.cast(empty_table(group, 2).schema))
    save_scores(scores, [group], output)
    read, is_there = stored(output, plan)._read(0, ["brightness"])
    assert read["brightness"].to_pylist() == [0.5, None]
    assert is_there["brightness"].tolist() == [True, False]


def test_facts_are_no_score_that_may_be_missing():
    plan = make_plan(CurateConfig(rules={"same": {"kind": "duplicates", "of": "both", "keep": "first"}}))
    assert step_columns(plan, len(plan.steps) - 1) == []
    assert step_columns(plan, 0) == ["shorter_side"]


class Doubled:
    """A group that is derived from `Brightness` without a picture."""

    name, version = "doubled", 1

    def schema(self):
        return pa.schema([("doubled", pa.float64())])

    def settings(self):
        return {}

    def sources(self):
        return (Brightness(),)

    def reads(self):
        return ("brightness", "width")

    def derive(self, table):
        twice = [2 * value for value in table.column("brightness").to_pylist()]
        return pa.record_batch([pa.array(twice, pa.float64())], schema=self.schema())


def test_what_can_be_derived_from_stored_scores_is_not_lacking(output, tmp_path):
    """Of three pairs one was not looked at, and one does not decode."""
    group = Brightness()
    plan = Plan(make_plan(CONFIG).steps, make_plan(CONFIG).groups, (group, Doubled()))
    unit = find_units(str(tmp_path / "raw"))[1]
    columns = [[0.5, None, None], [True, False, True], [None, None, "truncated: cut"]]
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, stored_schema(group), strict=True)],
        stored_schema(group),
    )
    save_scores(with_table(scanned(unit, CONFIG), group, table), [group], output)
    read, is_there = stored(output, plan)._read(1, ["doubled"])
    assert read["doubled"].to_pylist() == [1.0, None, None]
    assert is_there["doubled"].tolist() == [True, False, False]
