"""A corpus without the pairs that lack scores: four rows by hand, of which one has none."""

import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.source import TablesInMemory
from pipelines.curate.rules.duplicates import Duplicates
from pipelines.curate.scored_corpus import DropUnscored, ScoredCorpus, WithFlags
from pipelines.curate.stored_scores import SCORED

FLAG = f"{SCORED}3"
SHARD = 1 << 32


def table(keys: str, flags: list[bool]) -> pa.Table:
    return pa.table(
        {"caption_key": pa.array([key.encode() * 16 for key in keys], pa.binary(16)), FLAG: flags}
    )


SOURCE = TablesInMemory({"0": table("ab", [False, True]), "1": table("ab", [True, True])})
SAME = Duplicates(kind="duplicates", of="caption", keep="first")


def ranks(engine: InProcess, rule: int) -> list[int]:
    return [rank for shard in range(2) for rank in engine.drops(rule, shard).column("rank").to_pylist()]


def test_a_pair_without_scores_neither_counts_nor_goes():
    """The first `a` lacks scores, so that the second is the first that counts; of `b` the second goes."""
    engine = InProcess(SOURCE)
    assert ranks(engine, engine.run(lambda corpus: SAME.decide(ScoredCorpus(corpus, FLAG)))) == [SHARD + 1]
    plain = InProcess(SOURCE)
    assert ranks(plain, plain.run(SAME.decide)) == [SHARD, SHARD + 1]


def test_pairs_without_scores_can_be_dropped_themselves():
    engine = InProcess(SOURCE)
    assert ranks(engine, engine.run(DropUnscored(FLAG))) == [0]


def test_sums_and_tables_leave_them_out():
    seen: list[tuple[list[int], list[str]]] = []

    def measure(rows: Rows) -> int:
        seen.append((rows.rows.tolist(), rows.table.column_names))
        return len(rows.rows)

    engine = InProcess(SOURCE)

    def decide(corpus) -> None:
        scored = ScoredCorpus(corpus, FLAG)
        assert scored.fold(["caption_key"], measure, lambda one, other: one + other) == 3
        assert scored.share(5).get() == 5
        scored.choose(
            ["caption_key"],
            lambda rows: pa.table(
                [rows.ranks(), np.full(len(rows.rows), -1), np.zeros(len(rows.rows))],
                names=["rank", "other", "value"],
            ),
        )

    assert ranks(engine, engine.run(decide)) == [1, SHARD, SHARD + 1]
    assert seen == [([1], ["caption_key"]), ([0, 1], ["caption_key"])]


def test_pairs_of_earlier_outputs_have_every_score():
    earlier = WithFlags(TablesInMemory({"9": table("b", [True]).drop_columns([FLAG])}))
    engine = InProcess(SOURCE, earlier)
    assert ranks(engine, engine.run(lambda corpus: SAME.decide(ScoredCorpus(corpus, FLAG)))) == [1, SHARD + 1]
    assert (earlier.count, earlier.name(0), earlier.rows(0), earlier.passing(0).tolist()) == (
        1,
        "9",
        1,
        [True],
    )
