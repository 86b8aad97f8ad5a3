"""Rules over all shards on Ray Data, in partitions of a few kilobytes."""

import os
import signal
import sys
from dataclasses import dataclass

import corpus_rules
import numpy as np
import pyarrow as pa
import pytest
import xxhash
from corpus_rules import (
    Counting,
    all_but_first,
    as_dict,
    captions,
    check_rules,
    dropped_again,
    drops_of,
    keep_first,
    key_counts,
    rows_of,
    small_corpus,
)
from ray import cloudpickle

from data_filters.errors import InputError
from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.duplicates import ROW_BYTES
from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.on_ray import OnRay
from pipelines.curate.corpus.source import TablesInMemory
from pipelines.curate.rules.duplicates import Duplicates
from pipelines.ray_tasks import RETRIES

pytestmark = pytest.mark.ray
for module in (corpus_rules, sys.modules[__name__]):  # workers do not find tests/support
    cloudpickle.register_pickle_by_value(module)

MEMORY = 16 << 10  # partitions of 2 KiB: about 120 rows of key and rank
SOURCE, EARLIER = small_corpus(9, 1), small_corpus(3, 2)


@dataclass(frozen=True)
class Dies:
    """A reduce, or a select, that kills its process at the first `times` calls; counts calls in a file."""

    file: str
    times: int

    def __call__(self, table: pa.Table | Rows) -> pa.Table:
        with open(self.file, "a") as file:
            file.write("x")
        if os.path.getsize(self.file) <= self.times:
            os.kill(os.getpid(), signal.SIGKILL)
        return captions(table) if isinstance(table, Rows) else all_but_first(table)


@dataclass(frozen=True)
class Refuses:
    def __call__(self, rows: Rows) -> pa.Table:
        raise InputError("least is 0; allowed are numbers above 0; set least")


def test_every_rule_drops_what_loops_over_rows_find(ray_cluster, tmp_path):
    engine = OnRay(SOURCE, str(tmp_path), MEMORY, EARLIER)
    assert len(engine.groups) > 4
    check_rules(engine, SOURCE, EARLIER)


def test_a_corpus_of_which_nothing_stands_drops_nothing(ray_cluster, tmp_path):
    masks = {name: np.zeros(table.num_rows, np.bool_) for name, table in SOURCE.tables.items()}
    engine = OnRay(TablesInMemory(SOURCE.tables, masks), str(tmp_path), MEMORY)
    parts = []

    def decide(corpus):
        parts.extend(corpus.collect(["caption"], captions, key_counts).map(as_dict))
        keep_first(corpus)

    engine.run(decide)
    assert drops_of(engine, 0, SOURCE.count) == {}
    assert parts == []


def test_what_ray_gives_up_is_tried_again_whole_and_leaves_nothing(ray_cluster, tmp_path):
    # With one partition there is one reduce task, which Ray retries three times.
    calls, scratch = tmp_path / "calls", tmp_path / "scratch"
    dies = Dies(str(calls), RETRIES + 1)
    engine = OnRay(SOURCE, str(scratch), 1 << 20)
    engine.run(lambda corpus: corpus.shuffle(["caption"], captions, dies))
    assert calls.stat().st_size == RETRIES + 2
    assert [path.name for path in scratch.iterdir()] == ["rule-000-1"]
    assert drops_of(engine, 0, SOURCE.count) == dropped_again(rows_of(SOURCE))


def test_an_error_of_a_rule_on_a_worker_is_not_tried_again(ray_cluster, tmp_path):
    engine = OnRay(SOURCE, str(tmp_path), MEMORY)
    with pytest.raises(InputError, match=r"^least is 0; allowed are numbers above 0; set least"):
        engine.run(lambda corpus: corpus.choose(["width"], Refuses()))
    with pytest.raises(InputError, match="^least is 0"):
        engine.run(lambda corpus: corpus.shuffle(["width"], Refuses(), all_but_first))


@pytest.mark.parametrize("of", ["image", "caption"])
def test_a_hash_that_half_of_all_rows_have_is_decided_as_in_process(ray_cluster, tmp_path, of):
    draw = np.random.default_rng(0)

    def hashes(count: int) -> pa.Array:
        names = np.where(draw.random(count) < 0.5, 0, draw.integers(1, 300, count))
        return pa.array(
            [xxhash.xxh3_128_digest(bytes([name % 256, name // 256])) for name in names], pa.binary(16)
        )

    tables = {
        f"s{number}": pa.table({"caption_key": hashes(90), "image_hash": hashes(90)}) for number in range(9)
    }
    source, memory = TablesInMemory(tables), 32 << 10
    decides = [
        Duplicates(kind="duplicates", of=of, **{"max_images" if of == "caption" else "max_captions": 15}),
        Duplicates(kind="duplicates", of=of, keep="first"),
    ]
    engines = [OnRay(source, str(tmp_path), memory), InProcess(source)]
    limits: list[int | None] = []
    engines[0].run(lambda corpus: limits.append(corpus.most_rows(ROW_BYTES)))
    engines[1].run(lambda corpus: limits.append(corpus.most_rows(ROW_BYTES)))
    assert limits == [memory // 8 // ROW_BYTES // 2, None]  # 42 rows; the hot hash has some 400
    for rule, duplicates in enumerate(decides, 1):
        drops = []
        for engine in engines:
            engine.run(duplicates.decide)
            drops.append(drops_of(engine, rule, source.count))
        assert drops[0] == drops[1]
        assert drops[0]


def test_what_reduces_count_is_summed_over_partitions(ray_cluster, tmp_path):
    engine = OnRay(SOURCE, str(tmp_path), MEMORY)
    engine.run(lambda corpus: corpus.shuffle(["caption"], captions, Counting("rows")))
    engine.run(lambda corpus: corpus.choose(["width"], corpus_rules.narrow))
    assert [engine.counts(rule) for rule in range(2)] == [{"rows": len(rows_of(SOURCE))}, {}]
    assert drops_of(engine, 0, SOURCE.count) == dropped_again(rows_of(SOURCE))
