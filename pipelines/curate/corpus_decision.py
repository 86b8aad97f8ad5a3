"""Phase B over all shards: runs the rules over the corpus, and keeps what they drop in `OUTPUT/decide/HASH/`.

The folder is named after what the decision depends on: the rules, and the bytes of every raw shard. `names.json` in it
is written last, and a run that finds it takes the decision over.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.common.config import hash_of
from pipelines.common.files import filesystem, join, read_json, write_json, write_parquet
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.corpus import DROPS
from pipelines.curate.corpus.drop_files import remove_folder
from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.decide import pair_bits, pair_columns
from pipelines.curate.plan import LimitRule, Plan
from pipelines.curate.rules import CorpusRule
from pipelines.curate.scores.facts import FACTS, FACTS_SCHEMA, FACTS_VERSION
from pipelines.curate.scores.storage import scores_uri
from pipelines.shards.unit import Unit

DECIDE = "decide"
NAMES = "names.json"
TOGETHER = 256  # shards whose drops lie in one file
_STORED = DROPS.insert(0, pa.field("step", pa.int16()))


@dataclass(frozen=True)
class StoredScores:
    """The scores of an output, as rules over the corpus read them (`pipelines.curate.corpus.source.ShardSource`)."""

    output: str
    names: tuple[str, ...]
    row_counts: tuple[int, ...]
    plan: Plan

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(self.names)

    def name(self, shard: int) -> str:
        """The shard's name."""
        return self.names[shard]

    def rows(self, shard: int) -> int:
        """The number of the shard's pairs."""
        return self.row_counts[shard]

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        """These columns of all pairs of a shard, from the files of their groups."""
        read: dict[str, pa.ChunkedArray] = {}
        for group, names in self._files(columns).items():
            fs, path = filesystem(scores_uri(self.output, group, self.names[shard]))
            table = pq.read_table(io.BytesIO(fs.cat_file(path)), columns=names)
            read.update({name: table.column(name) for name in names})
        return pa.table({name: read[name] for name in columns})

    def passing(self, shard: int) -> npt.NDArray[np.bool_]:
        """Whether each pair passes every rule that looks at one pair."""
        passes: npt.NDArray[np.bool_] = pair_bits(self.load(shard, pair_columns(self.plan)), self.plan) == 0
        return passes

    def _files(self, columns: Sequence[str]) -> dict[str, list[str]]:
        schemas = {FACTS: FACTS_SCHEMA, **{group.name: group.schema() for group in self.plan.groups}}
        files: dict[str, list[str]] = {}
        for column in columns:
            group = next(name for name, schema in schemas.items() if column in schema.names)
            files.setdefault(group, []).append(column)
        return files


@dataclass(frozen=True)
class CorpusDecision:
    """What the rules over the corpus drop, in files under `folder`."""

    folder: str

    def drops(self, name: str) -> dict[int, pa.Table]:
        """What each rule over the corpus drops of a shard (DROPS), by the rule's step."""
        number = _numbers(self.folder)[name]
        table = _drops_of(self.folder, number // TOGETHER)
        shard = pc.shift_right(table.column("rank"), 32)
        table = table.filter(pc.equal(shard, number))
        steps = [int(step) for step in _names(self.folder)["steps"]]
        return {
            step: table.filter(pc.equal(table.column("step"), step)).select(DROPS.names) for step in steps
        }

    def shard_names(self) -> Mapping[int, str]:
        """The shards' names by number."""
        return _by_number(self.folder)


@lru_cache(maxsize=2)
def _names(folder: str) -> dict[str, list[str]]:
    found = read_json(join(folder, NAMES))
    assert isinstance(found, dict)  # it was written whole
    return found


@lru_cache(maxsize=2)
def _numbers(folder: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(_names(folder)["names"])}


@lru_cache(maxsize=2)
def _by_number(folder: str) -> dict[int, str]:
    return dict(enumerate(_names(folder)["names"]))


@lru_cache(maxsize=4)
def _drops_of(folder: str, group: int) -> pa.Table:
    fs, path = filesystem(join(folder, f"{group:06}.parquet"))
    return pq.read_table(io.BytesIO(fs.cat_file(path)))


def decide_corpus(
    plan: Plan,
    config: CurateConfig,
    units: Sequence[Unit],
    sha256: Mapping[str, str],
    row_counts: Mapping[str, int],
    store: str,
) -> CorpusDecision:
    """Run the rules over the corpus over the scores of all raw shards, unless this very decision is there already.

    `sha256` and `row_counts`: of each raw shard, by name.
    """
    names = tuple(unit.name for unit in units)
    folder = join(store, DECIDE, _key(plan, config, [(name, sha256[name]) for name in names]))
    if read_json(join(folder, NAMES)) is not None:
        return CorpusDecision(folder)
    remove_folder(join(store, DECIDE))  # an earlier one is of other rules or other shards
    source = StoredScores(store, names, tuple(row_counts[name] for name in names), plan)
    engine = InProcess(source)
    first = len(plan.pair_steps)
    for step in plan.corpus_steps:
        assert isinstance(step.rule, CorpusRule)
        engine.run(step.rule.decide)
    for group in range(-(-len(names) // TOGETHER)):
        tables = [_STORED.empty_table()]
        for shard in range(group * TOGETHER, min((group + 1) * TOGETHER, len(names))):
            for rule in range(len(plan.corpus_steps)):
                found = engine.drops(rule, shard)
                step_column = pa.array(np.full(found.num_rows, first + rule, np.int16))
                tables.append(found.add_column(0, "step", step_column).cast(_STORED))
        write_parquet(join(folder, f"{group:06}.parquet"), pa.concat_tables(tables))
    steps = list(range(first, len(plan.steps)))
    write_json(join(folder, NAMES), {"names": list(names), "steps": steps}, indent=None)
    return CorpusDecision(folder)


def _key(plan: Plan, config: CurateConfig, shards: Sequence[tuple[str, str]]) -> str:
    """What the decision depends on."""
    rules = [
        [
            step.name,
            step.rule.limit() if isinstance(step.rule, LimitRule) else step.rule.model_dump(mode="json"),
        ]
        for step in plan.steps
    ]
    groups = {group.name: [group.version, dict(group.settings())] for group in plan.groups}
    return hash_of(
        {
            "facts": FACTS_VERSION,
            "rules": rules,
            "limits": config.limits(),
            "groups": groups,
            "shards": [list(shard) for shard in shards],
            "against": list(config.against),
        }
    )
