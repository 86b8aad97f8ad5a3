"""Phase B over all shards: runs the rules over the corpus, and keeps what they drop in `OUTPUT/decide/HASH/`.

The folder is named after what the decision depends on: the rules, and the bytes of every raw shard. `decision.json` in
it is written last, and a run that finds it takes the decision over.
"""

from __future__ import annotations

import bisect
import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa

from pipelines.common.config import hash_of
from pipelines.common.files import join, read_json, write_json
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.drop_files import DropFiles, remove_folder, write_drops
from pipelines.curate.corpus.drops import of_shard
from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.on_ray import OnRay
from pipelines.curate.corpus.partitions import Group, fits_in_process, group_rows, group_shards
from pipelines.curate.corpus.source import ShardSource
from pipelines.curate.plan import LimitRule, Plan
from pipelines.curate.rules import CorpusRule
from pipelines.curate.score_files import ScoreFiles
from pipelines.curate.scores.facts import FACTS_VERSION
from pipelines.shards.unit import Unit

DECIDE = "decide"
DECISION = "decision.json"
MIB = 1024 * 1024


@dataclass(frozen=True)
class CorpusDecision:
    """What the rules over the corpus drop, in files under `folder`."""

    folder: str

    @property
    def key(self) -> str:
        """The name of the folder: a hash of what the decision depends on."""
        return posixpath.basename(self.folder)

    def drops(self, name: str) -> dict[int, pa.Table]:
        """What each rule over the corpus drops of a shard (DROPS), by the rule's step."""
        about = _about(self.folder)
        number = about.numbers[name]
        group = bisect.bisect_right(about.starts, number) - 1
        return {
            step: of_shard(_read(files, group), number)
            for step, files in zip(about.steps, about.files, strict=True)
        }

    def shard_names(self) -> Mapping[int, str]:
        """The shards' names by number."""
        return _about(self.folder).names


@dataclass(frozen=True)
class _About:
    """What `decision.json` says. `starts`: the first shard of each group; `files`: the drops of each rule."""

    names: dict[int, str]
    numbers: dict[str, int]
    starts: list[int]
    steps: list[int]
    files: list[DropFiles]


@lru_cache(maxsize=1)
def _about(folder: str) -> _About:
    # Any: what the file holds, which was written whole.
    stored: dict[str, Any] = read_json(join(folder, DECISION)) or {}
    names = dict(enumerate(stored["names"]))
    files = [DropFiles(join(folder, rule["folder"]), bytes(rule["groups"])) for rule in stored["rules"]]
    numbers = {name: number for number, name in names.items()}
    return _About(names, numbers, stored["starts"], stored["steps"], files)


@lru_cache(maxsize=16)
def _read(files: DropFiles, group: int) -> pa.Table:
    return files.read(group)


def is_decided(output: str, keys: Collection[str | None], names: Sequence[str]) -> bool:
    """Whether commits with the decisions `keys` share one, which was made over the raw shards `names` and no others."""
    if len(keys) != 1 or (key := next(iter(keys))) is None:
        return False
    stored = read_json(join(output, DECIDE, key, DECISION))
    return isinstance(stored, dict) and stored.get("names") == list(names)


def decide_corpus(
    plan: Plan,
    config: CurateConfig,
    units: Sequence[Unit],
    sha256: Mapping[str, str],
    row_counts: Mapping[str, int],
    store: str,
) -> CorpusDecision:
    """Run the rules over the corpus over the scores of all raw shards, unless this very decision is there already.

    `sha256` and `row_counts`: of each raw shard, by name. Runs in this process where the rows fit into
    `decide.memory`, else on the Ray that runs.
    """
    names = tuple(unit.name for unit in units)
    folder = join(store, DECIDE, _key(plan, config, [(name, sha256[name]) for name in names]))
    if read_json(join(folder, DECISION)) is not None:
        return CorpusDecision(folder)
    remove_folder(join(store, DECIDE))  # an earlier one is of other rules or other shards
    source = ScoreFiles(store, names, tuple(row_counts[name] for name in names), plan)
    memory = config.decide.memory * MIB
    decide = _in_process if fits_in_process(sum(source.row_counts), memory) else _on_ray
    groups, files = decide(source, plan, folder, memory)
    about = {
        "names": list(names),
        "starts": [group.first for group in groups if not group.is_earlier],
        "steps": list(range(len(plan.pair_steps), len(plan.steps))),
        "rules": [
            {"folder": found.folder.removeprefix(folder + "/"), "groups": list(found.groups)}
            for found in files
        ],
    }
    write_json(join(folder, DECISION), about, indent=None)
    return CorpusDecision(folder)


def _in_process(
    source: ShardSource, plan: Plan, folder: str, memory: int
) -> tuple[Sequence[Group], Sequence[DropFiles]]:
    engine = InProcess(source)
    rows = [source.rows(shard) for shard in range(source.count)]
    groups = group_shards(rows, group_rows(sum(rows), memory))
    files = []
    for step in plan.corpus_steps:
        assert isinstance(step.rule, CorpusRule)
        rule = engine.run(step.rule.decide)
        of_rule = DropFiles(join(folder, f"rule-{rule:03}-0"), b"\1" * len(groups))
        for number, group in enumerate(groups):
            tables = [engine.drops(rule, shard) for shard in range(group.first, group.end)]
            write_drops(of_rule.folder, number, pa.concat_tables(tables))
        files.append(of_rule)
    return groups, files


def _on_ray(
    source: ShardSource, plan: Plan, folder: str, memory: int
) -> tuple[Sequence[Group], Sequence[DropFiles]]:
    engine = OnRay(source, folder, memory)
    for step in plan.corpus_steps:
        assert isinstance(step.rule, CorpusRule)
        engine.run(step.rule.decide)
    return engine.groups, engine.population.rules


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
