"""Phase B over all shards: runs the rules over the corpus, and keeps what they drop in `OUTPUT/decide/HASH/`.

The folder is named after what the decision depends on: the rules, and the bytes of every raw shard. `decision.json` in
it is written last, and a run that finds it takes the decision over.
"""

from __future__ import annotations

import bisect
import hashlib
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.common.config import hash_of
from pipelines.common.files import join, read_json, read_parquet, write_json, write_parquet
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.corpus import Corpus
from pipelines.curate.corpus.drop_files import DropFiles, remove_folder, write_drops
from pipelines.curate.corpus.drops import of_shard
from pipelines.curate.corpus.engine import Decide
from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.on_ray import OnRay
from pipelines.curate.corpus.partitions import Group, fits_in_process, group_rows, group_shards
from pipelines.curate.corpus.source import ShardSource
from pipelines.curate.earlier_outputs import NUMBERS, EarlierOutputs
from pipelines.curate.identity import recipe_hash
from pipelines.curate.plan import LimitRule, Plan
from pipelines.curate.rules import CorpusRule
from pipelines.curate.score_files import ScoreFiles
from pipelines.curate.scores.facts import FACTS_VERSION

DECIDE = "decide"
DECISION = "decision.json"
NAMES = "names.parquet"
"""The names of the raw shards, in their order, and of those of earlier outputs."""
Run = Callable[
    [ShardSource, Sequence[Decide], str, int, ShardSource | None],
    tuple[Sequence[Group], Sequence[DropFiles], Sequence[Mapping[str, int]]],
]
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
        number = about.names.number(name)
        group = bisect.bisect_right(about.starts, number) - 1
        return {
            step: of_shard(_read(files, group), number)
            for step, files in zip(about.steps, about.files, strict=True)
        }

    def steps(self) -> Sequence[int]:
        """The places of these rules in the plan."""
        return _about(self.folder).steps

    def no_verdict(self) -> dict[str, dict[str, int]]:
        """The pairs that rules cannot judge, by the rule's name and the cause."""
        return _about(self.folder).no_verdict

    def counts(self) -> dict[int, dict[str, int]]:
        """What each rule over the corpus counted beside its drops, by the rule's step."""
        about = _about(self.folder)
        return dict(zip(about.steps, about.counts, strict=True))

    def shard_names(self) -> Mapping[int, str]:
        """The shards' names by number; those of earlier outputs by negative number (`EarlierOutputs`)."""
        return _about(self.folder).names


class ShardNames(Mapping[int, str]):
    """The names of shards by number, those of earlier outputs by negative number; about 30 bytes each."""

    def __init__(self, names: pa.StringArray, earlier: pa.StringArray) -> None:
        self._names, self._earlier = names, earlier
        # The shards' order is that of their file names: `a-b.tar` comes before `a.tar`.
        self._sorted = pc.sort_indices(names).to_numpy()

    def number(self, name: str) -> int:
        """The number of a raw shard. Raises KeyError."""
        place = bisect.bisect_left(self._sorted, name, key=lambda at: str(self._names[int(at)]))
        number = int(self._sorted[place]) if place < len(self._sorted) else -1
        if number < 0 or str(self._names[number]) != name:
            raise KeyError(name)
        return number

    def __getitem__(self, number: int) -> str:
        of, place = (self._names, number) if number >= 0 else (self._earlier, number + NUMBERS)
        if not 0 <= place < len(of):
            raise KeyError(number)
        return str(of[place])

    def __iter__(self) -> Iterator[int]:
        yield from range(len(self._names))
        yield from (place - NUMBERS for place in range(len(self._earlier)))

    def __len__(self) -> int:
        return len(self._names) + len(self._earlier)


@dataclass(frozen=True)
class _About:
    """What `decision.json` says. `starts`: the first shard of each group; `files`: the drops of each rule."""

    names: ShardNames
    starts: list[int]
    steps: list[int]
    files: list[DropFiles]
    no_verdict: dict[str, dict[str, int]]
    counts: list[dict[str, int]]


@lru_cache(maxsize=2)  # a run has two decisions at most, and a task asks for both
def _about(folder: str) -> _About:
    # Any: what the file holds, which was written whole.
    stored: dict[str, Any] = read_json(join(folder, DECISION)) or {}
    table = read_parquet(join(folder, NAMES))
    assert table is not None  # it is written before the decision
    names = table.column("name").combine_chunks()
    files = [DropFiles(join(folder, rule["folder"]), bytes(rule["groups"])) for rule in stored["rules"]]
    count = stored["shards"]
    return _About(
        ShardNames(names[:count], names[count:]),
        stored["starts"],
        stored["steps"],
        files,
        stored.get("no_verdict", {}),
        [dict(rule["counts"]) for rule in stored["rules"]],
    )


@lru_cache(maxsize=16)
def _read(files: DropFiles, group: int) -> pa.Table:
    return files.read(group)


@dataclass(frozen=True)
class Shards:
    """The raw shards of a run in the order of their names: for each its name, its sha256, the number of its pairs.

    `sha256` has 32 bytes for each.
    """

    names: tuple[str, ...]
    sha256: bytes
    rows: tuple[int, ...]


def decision_keys(
    plan: Plan, config: CurateConfig, shards: Shards, against: EarlierOutputs | None = None
) -> list[str]:
    """The keys of the decisions that the rules over the corpus make: before phase L, and after it."""
    early = plan.before_look
    keys = [_key(early, config, shards, against)] if early.corpus_steps() else []
    late = plan.corpus_steps(len(early.steps))
    return [*keys, _key(plan, config, shards, against)] if late else keys


def decide_corpus(
    plan: Plan,
    config: CurateConfig,
    shards: Shards,
    store: str,
    *,
    earlier: CorpusDecision | None = None,
    against: EarlierOutputs | None = None,
) -> CorpusDecision:
    """Run the plan's rules over the corpus over the scores of all raw shards, unless this decision is there already.

    `earlier`: the decision of the rules that have judged before phase L; those do not run again. Runs in this process
    where the rows fit into `decide.memory`, else on the Ray that runs. `against`: outputs whose kept pairs are earlier.
    """
    first = 0 if earlier is None else 1 + max(earlier.steps())
    phase = "before-look" if plan == plan.before_look else "after-look"
    folder = join(store, DECIDE, phase, _key(plan, config, shards, against))
    if read_json(join(folder, DECISION)) is not None:
        return CorpusDecision(folder)
    remove_folder(join(store, DECIDE, phase))  # what lies there is of other rules or other shards
    source = ScoreFiles(store, shards.names, shards.rows, plan, earlier)
    rules = plan.corpus_steps(first)
    counts: dict[str, dict[str, int]] = {}
    return run_rules(source, counted(rules, plan, counts), folder, config, against, counts)


def counted(
    rules: Mapping[int, CorpusRule], plan: Plan, counts: dict[str, dict[str, int]]
) -> dict[int, Decide]:
    """The `decide` of each rule; one that leaves pairs without a verdict counts them into `counts`, by its name."""
    return {number: Counted(plan.steps[number].name, rule, counts) for number, rule in rules.items()}


@dataclass(frozen=True)
class Counted:
    """A rule that counts the pairs that it cannot judge before it decides."""

    name: str
    rule: CorpusRule
    counts: dict[str, dict[str, int]]

    def __call__(self, corpus: Corpus) -> None:
        no_verdict = getattr(self.rule, "no_verdict", None)
        if no_verdict is not None:
            self.counts[self.name] = dict(no_verdict(corpus))
        self.rule.decide(corpus)


def runs_in_process(rows: int, config: CurateConfig) -> bool:
    """Whether rules over so many rows run in this process."""
    engine = config.decide.engine
    return engine == "in_process" or (engine == "auto" and fits_in_process(rows, config.decide.memory * MIB))


def run_rules(
    source: ShardSource,
    rules: Mapping[int, Decide],
    folder: str,
    config: CurateConfig,
    against: ShardSource | None,
    no_verdict: Mapping[str, Mapping[str, int]] | None = None,
) -> CorpusDecision:
    """Run rules, by the step under which their drops are kept, one after the other; the decision lies in `folder`.

    `no_verdict`: filled while they run (`counted`).
    """
    rows = [source.rows(shard) for shard in range(source.count)]
    run: Run = _in_process if runs_in_process(sum(rows), config) else _on_ray
    groups, files, counts = run(source, list(rules.values()), folder, config.decide.memory * MIB, against)
    names = [source.name(shard) for shard in range(source.count)]
    earlier = [] if against is None else list(map(against.name, range(against.count)))
    write_decision(folder, names, earlier, groups, list(rules), files, counts, no_verdict)
    return CorpusDecision(folder)


def write_decision(
    folder: str,
    shards: Sequence[str],
    earlier: Sequence[str],
    groups: Sequence[Group],
    steps: Sequence[int],
    files: Sequence[DropFiles],
    counts: Sequence[Mapping[str, int]],
    no_verdict: Mapping[str, Mapping[str, int]] | None = None,
) -> None:
    """Write what a `CorpusDecision` reads beside the drops, `decision.json` last.

    `shards` and `earlier`: the names of the raw shards, and of those of earlier outputs.
    """
    names = pa.array([*shards, *earlier], pa.large_string())
    write_parquet(join(folder, NAMES), pa.table({"name": names}))
    about = {
        "shards": len(shards),
        "starts": [group.first for group in groups if not group.is_earlier],
        "steps": list(steps),
        "rules": [
            {
                "folder": found.folder.removeprefix(folder + "/"),
                "groups": list(found.groups),
                "counts": dict(of_rule),
            }
            for found, of_rule in zip(files, counts, strict=True)
        ],
        "no_verdict": no_verdict or {},
    }
    write_json(join(folder, DECISION), about, indent=None)


def _in_process(
    source: ShardSource,
    rules: Sequence[Decide],
    folder: str,
    memory: int,
    against: ShardSource | None,
) -> tuple[Sequence[Group], Sequence[DropFiles], Sequence[Mapping[str, int]]]:
    engine = InProcess(source, against)
    rows = [source.rows(shard) for shard in range(source.count)]
    groups = group_shards(rows, group_rows(sum(rows), memory))
    files = []
    for one in rules:
        rule = engine.run(one)
        of_rule = DropFiles(join(folder, f"rule-{rule:03}-0"), b"\1" * len(groups))
        for number, group in enumerate(groups):
            tables = [engine.drops(rule, shard) for shard in range(group.first, group.end)]
            write_drops(of_rule.folder, number, pa.concat_tables(tables))
        files.append(of_rule)
    return groups, files, [engine.counts(rule) for rule in range(len(rules))]


def _on_ray(
    source: ShardSource,
    rules: Sequence[Decide],
    folder: str,
    memory: int,
    against: ShardSource | None,
) -> tuple[Sequence[Group], Sequence[DropFiles], Sequence[Mapping[str, int]]]:
    engine = OnRay(source, folder, memory, against)
    for rule in rules:
        engine.run(rule)
    return engine.groups, engine.population.rules, [engine.counts(rule) for rule in range(len(rules))]


def _key(plan: Plan, config: CurateConfig, shards: Shards, against: EarlierOutputs | None) -> str:
    """What the decision depends on."""
    rules = [
        [
            step.name,
            step.rule.limit() if isinstance(step.rule, LimitRule) else step.rule.model_dump(mode="json"),
        ]
        for step in plan.steps
    ]
    groups = {group.name: [group.version, dict(group.settings())] for group in (*plan.groups, *plan.looks)}
    return hash_of(
        {
            "facts": FACTS_VERSION,
            "rules": rules,
            "recipe": recipe_hash(config, plan),
            "groups": groups,
            "shards": _digest(shards),
            "against": None if against is None else against.key,
        }
    )


def _digest(shards: Shards) -> str:
    """A hash of the shards' names and bytes."""
    digest = hashlib.sha256(shards.sha256)
    for name in shards.names:
        digest.update(name.encode() + b"\0")
    return digest.hexdigest()
