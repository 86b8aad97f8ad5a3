"""Simulate the driver of a curation of a million raw shards: its own code, on metadata that nobody has stored.

    python tests/bench/curation_at_scale.py --tar RAW.tar [--shards 10000 100000 1000000] [--pairs 10000] [--lost 0.01]

Measured, each number of shards in a process of its own: the driver's CPU seconds and its peak of resident memory above
that of the imports, and requests to the object store, by step, of a first run (its output is empty) and of a run that
finds all but `--lost` of its commits. Manifests are copies of one that phase C wrote for a real shard. Measured as
well: bytes of a row in each exchange of phase B, by the rules' own functions on real scores, and requests of a worker.
Simulated: raw shards, and Ray, whose tasks cost the driver TASK_MS and TASK_KIB (`pipelines.task_groups`). A table in
Markdown comes out.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(Path(__file__).parent)]

from measured_shard import real_shard, worker_requests
from ray import cloudpickle
from simulated_store import PROTOCOL, SIZES, SimulatedStore

from pipelines import ray_tasks
from pipelines.curate.catalogue import Catalogue
from pipelines.curate.commits import sum_commits
from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus.drop_files import DropFiles
from pipelines.curate.corpus.partitions import (
    PIECE,
    group_rows,
    group_shards,
    least_memory,
    partition_count,
)
from pipelines.curate.corpus_decision import CorpusDecision, _about, decision_keys, write_decision
from pipelines.curate.dataset_page import write_dataset
from pipelines.curate.identity import recipe_settings
from pipelines.curate.inputs import check_output, find_units
from pipelines.curate.output_shards import output_shards, write_groups
from pipelines.curate.phases import Options, Phases, _as_unit
from pipelines.curate.plan import make_plan
from pipelines.curate.scanned import Scanned
from pipelines.curate.score_files import ScoreFiles
from pipelines.curate.standing import take_stock
from pipelines.curate.tasks import WriteShard
from pipelines.curate.update import changed_settings
from pipelines.shards.manifest import each_manifest
from pipelines.shards.unit import Unit
from pipelines.task_groups import group_units

TASK_MS, TASK_KIB = 7, 9  # of the driver for a task of Ray Data
RAW, OUT = f"{PROTOCOL}://raw", f"{PROTOCOL}://out"
RAW_BYTES = 300 << 20
RULES = {
    "english": {"kind": "language"},
    "same_caption": {"kind": "duplicates", "of": "caption", "keep": "first"},
    "same_image": {"kind": "duplicates", "of": "image", "keep": "first"},
    "near": {"kind": "near_captions"},
    "rare": {"kind": "rare_ngrams", "most_frequent": 100_000_000},
}
CONFIG = CurateConfig(min_side=63, max_bad_fraction=1, rules=RULES)
PLAN = make_plan(CONFIG)


def name_of(shard: int) -> str:
    return f"{shard:08}"


def sha256_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


# ---- what is simulated -----------------------------------------------------------------------------------------------


class Commits:
    """The output of a finished run over some shards, `lost` of whose manifests are missing."""

    def __init__(
        self, shards: int, lost: float, manifest: dict[str, Any], decisions: list[str], pairs: int
    ) -> None:
        self.shards, self.every = shards, round(1 / lost) if lost else 0
        manifest["inputs"][0]["rows"] = pairs
        text = json.dumps({**manifest, "decisions": decisions}, indent=1, sort_keys=True)
        entry, made = manifest["inputs"][0], manifest["outputs"][0]
        self.parts = text.replace(entry["sha256"], "@SHA@").replace(json.dumps(entry["uri"]), '"@URI@"')
        self.parts = self.parts.replace(f'"{made["tar"]}"', '"@NAME@.tar"').replace(
            f'"{entry["name"]}"', '"@NAME@"'
        )
        self.parts = self.parts.replace(f'"{made["index"]}"', '"@NAME@.index.parquet"')
        self.bytes = len(text)
        self.size = made["size"]

    def is_lost(self, shard: int) -> bool:
        return bool(self.every) and shard % self.every == 0

    def manifests(self) -> list[str]:
        return [f"{name_of(shard)}.json" for shard in range(self.shards) if not self.is_lost(shard)]

    def manifest(self, file: str) -> bytes:
        name = file.removesuffix(".json")
        if self.is_lost(int(name)):
            raise KeyError(file)
        text = self.parts.replace("@NAME@", name).replace("@URI@", f"{RAW}/{name}.tar")
        return text.replace("@SHA@", sha256_of(name)).encode()

    def files(self) -> list[str]:
        return [
            f"{name_of(shard)}{end}" for shard in range(self.shards) for end in (".tar", ".index.parquet")
        ]

    def file(self, name: str) -> int:
        if not name.endswith((".tar", ".index.parquet")):
            raise KeyError(name)
        return self.size

    def serve(self) -> None:
        SimulatedStore.folders["out"] = (self.files, self.file)
        SimulatedStore.folders["out/manifests"] = (self.manifests, self.manifest)
        SIZES["out"] = lambda name: self.size


def serve_raw(shards: int) -> None:
    SimulatedStore.folders["raw"] = (
        lambda: [f"{name_of(s)}.tar" for s in range(shards)],
        lambda _: RAW_BYTES,
    )
    SIZES["raw"] = lambda _: RAW_BYTES


# ---- measuring -------------------------------------------------------------------------------------------------------


def resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


class Steps:
    """CPU seconds, peak memory and requests of each step of the driver."""

    def __init__(self) -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what the real shard took is given back
        self.base = resident("VmRSS")
        self.found: dict[str, dict[str, Any]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts at what is resident now
        SimulatedStore.requests.clear()
        cpu = time.process_time()
        yield
        self.found[name] = {
            "cpu": time.process_time() - cpu,
            "peak": resident("VmHWM") - self.base,
            "requests": dict(SimulatedStore.requests),
        }
        print(json.dumps({name: self.found[name]}), file=sys.stderr, flush=True)


def phase(
    function: Any, units: list[Unit], workers: int, result: dict[str, Any], tell: Callable[..., None]
) -> int:
    """The driver's part of `for_each` without Ray: groups, their text, results as text; returns the tasks."""
    run = ray_tasks._Run(function, units, workers, tell, keep_results=False)
    groups = group_units([unit.size for unit in units], workers)
    texts = [json.dumps([run._fields(place) for place in group]) for group in groups]
    for group, text in zip(groups, texts, strict=True):
        assert text
        for place in group:
            one = {**result, "sha256": sha256_of(units[place].name)}
            run._end(place, json.loads(json.dumps(one)))
    return len(groups)


# ---- one number of shards --------------------------------------------------------------------------------------------


def first_run(shards: int, arguments: argparse.Namespace, real: dict[str, Any], steps: Steps) -> list[str]:
    """What the driver does for an output that is empty. Returns the keys of the decisions."""
    serve_raw(shards)
    scan = {**real["scan"], "rows": arguments.pairs}
    with steps.step("plan: list the input, look at the output, catalogue"):
        units = find_units(RAW)
        manifests = check_output(units, RAW, OUT)
        catalogue = Catalogue(units, OUT)
        standing = take_stock(units, manifests, OUT, catalogue=catalogue)
    with steps.step("A: groups, results"):
        scanned = Scanned(units, PLAN)
        tasks = phase(None, units, arguments.workers, scan, scanned.add)
    with steps.step("catalogue of the raw shards"):
        catalogue.write(lambda name: scanned.sha256(name))
    with steps.step("B: key, groups of shards, decision.json"):
        found = scanned.shards()
        keys = decision_keys(PLAN, CONFIG, found)
        groups = group_shards(found.rows, group_rows(sum(found.rows), arguments.memory))
        source = cloudpickle.dumps(ScoreFiles(OUT, found.names, found.rows, PLAN))
        files = [DropFiles(f"{OUT}/decide/{keys[0]}/rule-{n:03}-0", b"\1" * len(groups)) for n in range(4)]
        folder = f"{OUT}/decide/{keys[0]}"
        write_decision(folder, found.names, [], groups, list(PLAN.corpus_steps()), files, [{}] * len(files))
    with steps.step("C: groups, results"):
        outputs = output_shards(units, scanned, None, [])
        if arguments.group:
            outputs = output_shards(units, scanned, arguments.group * scan["kept_bytes"], [])
            write_groups(OUT, outputs)
        joined = [_as_unit(shard) for shard in outputs]
        write = WriteShard(CONFIG, PLAN, OUT, [CorpusDecision(folder)], frozenset(standing.fallen), False)
        phase(write, joined, arguments.workers, real["written"], lambda unit, result: None)
    _about.cache_clear()
    before, cpu = resident("VmRSS"), time.process_time()
    names = CorpusDecision(folder).shard_names()
    assert names[shards // 2] == name_of(shards // 2)
    steps.found["(a worker) names of all shards, once a process"] = {
        "cpu": time.process_time() - cpu,
        "peak": resident("VmRSS") - before,
        "requests": {},
    }
    steps.found["(a task of B) where to read all shards"] = {
        "cpu": _seconds(lambda: cloudpickle.loads(source)),
        "peak": len(source),
        "requests": {},
    }
    steps.found["(a task of C) the function"] = {
        "cpu": _seconds(lambda: cloudpickle.loads(cloudpickle.dumps(write))),
        "peak": len(cloudpickle.dumps(write)),
        "requests": {},
    }
    steps.tasks, steps.groups = tasks, len(groups)  # type: ignore[attr-defined]
    return keys


def _seconds(call: Callable[[], object]) -> float:
    cpu = time.process_time()
    call()
    return time.process_time() - cpu


def end_and_resume(
    shards: int, arguments: argparse.Namespace, real: dict[str, Any], keys: list[str], steps: Steps
) -> None:
    """What the driver does at the end of a run, and when it finds an output of which some commits are lost."""
    commits = Commits(shards, 0, real["manifest"], keys, arguments.pairs)
    commits.serve()
    with steps.step("end: sum the manifests, dataset.json"):
        totals = sum_commits((manifest for _, manifest in each_manifest(OUT)), PLAN)
        write_dataset(OUT, totals, PLAN, CONFIG)
        assert totals.shards == shards
        del totals
    commits = Commits(shards, arguments.lost, real["manifest"], keys, arguments.pairs)
    commits.serve()
    with steps.step("resume: list the input, read the manifests"):
        units = find_units(RAW)
        manifests = check_output(units, RAW, OUT)
        is_other = changed_settings(OUT, manifests, recipe_settings(CONFIG, PLAN), False)
    with steps.step("resume: which commits stand"):
        catalogue = Catalogue(units, OUT)
        standing = take_stock(units, manifests, OUT, catalogue=catalogue)
    lost = sum(commits.is_lost(shard) for shard in range(shards))
    assert len(standing.committed) == shards - lost
    assert not standing.changed
    assert not standing.damaged
    with steps.step("resume: what is to do"):
        run = Phases(CONFIG, PLAN, units, standing, OUT, Options(), None)
        todo = run.todo(is_other)
        scanned = Scanned(todo, PLAN)
        for unit in todo:  # their scores are there: phase A reads them
            scanned.add(unit, {**real["scan"], "rows": arguments.pairs, "sha256": sha256_of(unit.name)})
        assert not run._has_other_decisions(run._with_commits(scanned))
    steps.todo, steps.lost = len(todo), lost  # type: ignore[attr-defined]


def one(shards: int, arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="curation-at-scale-") as folder:
        real = real_shard(CONFIG, Path(arguments.tar), Path(folder))
    requests = worker_requests(CurateConfig(min_side=63, max_bad_fraction=1), Path(arguments.tar))
    steps = Steps()
    keys = first_run(shards, arguments, real, steps)
    end_and_resume(shards, arguments, real, keys, steps)
    return {
        "shards": shards,
        "steps": steps.found,
        "tasks": steps.tasks,  # type: ignore[attr-defined]
        "groups": steps.groups,  # type: ignore[attr-defined]
        "todo": steps.todo,  # type: ignore[attr-defined]
        "lost": steps.lost,  # type: ignore[attr-defined]
        "worker_requests": requests,
        "manifest_bytes": len(json.dumps(real["manifest"], indent=1)),
        "real": {key: real[key] for key in ("rows", "tar", "exchanges", "scan_us", "write_us", "scores")},
    }


# ---- tables ----------------------------------------------------------------------------------------------------------


def driver_table(results: Sequence[dict[str, Any]]) -> None:
    print(
        "\n| step | " + " | ".join(f"{r['shards']:,} shards" for r in results) + " | per shard | requests |"
    )
    print("|---" * (len(results) + 3) + "|")
    last = results[-1]
    for name in last["steps"]:
        cells = [
            f"{r['steps'][name]['cpu']:.2f} s, {r['steps'][name]['peak'] / 2**20:,.0f} MiB" for r in results
        ]
        step = last["steps"][name]
        slope = f"{1e6 * step['cpu'] / last['shards']:.1f} µs"
        if len(results) > 1:
            first = results[-2]
            grown = (step["peak"] - first["steps"][name]["peak"]) / (last["shards"] - first["shards"])
            slope += f", {grown:,.0f} B"
        requests = ", ".join(f"{number:,} {kind}" for kind, number in sorted(step["requests"].items()))
        print(f"| {name} | " + " | ".join(cells) + f" | {slope} | {requests} |")


def exchange_table(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    rows = result["shards"] * arguments.pairs
    print("\n| exchange | bytes a row | shuffled | decide.memory | used | partitions | objects | map tasks |")
    print("|---" * 8 + "|")
    for name, size in result["real"]["exchanges"].items():
        for memory in (1 << 30, 8 << 30):
            used = max(memory, least_memory(rows * size))
            pieces = partition_count(rows * size, used)
            full = group_rows(rows, memory)
            groups = -(-rows // max(full, arguments.pairs))
            batches = max(pieces, 1)
            print(
                f"| {name} | {size:.0f} | {rows * size / 1e9:,.0f} GB | {memory >> 30} GiB | {used / 2**30:.1f} GiB "
                f"| {pieces:,} | {batches * pieces:,} | {groups:,} |"
            )
    print(f"\nA batch and a partition are 1/{PIECE} of the memory used; objects: batches × partitions.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--pairs", type=int, default=10_000, help="of a raw shard")
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument(
        "--lost", type=float, default=0.01, help="share of the commits that a resumed run misses"
    )
    parser.add_argument(
        "--group", type=int, default=0, help="raw shards of a curated one; 0: one, without groups"
    )
    parser.add_argument("--memory", type=int, default=1 << 30, help="decide.memory in bytes")
    parser.add_argument(
        "--tar", required=True, help="a real raw shard, for bytes per row, a manifest, and results"
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one(arguments.shards[0], arguments)))
        return
    results = []
    for shards in arguments.shards:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", "--shards", str(shards)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        results.append(json.loads(said.splitlines()[-1]))
        print(json.dumps(results[-1]), file=sys.stderr)
    last = results[-1]
    print(f"load {os.getloadavg()}, real shard {json.dumps(last['real'])}")
    print(
        f"manifest {last['manifest_bytes']} bytes; requests of a worker {json.dumps(last['worker_requests'])}"
    )
    driver_table(results)
    for result in results:
        seconds, mib = result["tasks"] * TASK_MS / 1e3, result["tasks"] * TASK_KIB / 1024
        print(
            f"\n{result['shards']:,} shards: {result['tasks']:,} tasks in each of A and C (Ray: {seconds:.0f} s CPU, "
            f"{mib:.0f} MiB each), {result['groups']:,} tasks of B; of {result['lost']:,} lost commits "
            f"{result['todo']:,} shards are to do"
        )
    exchange_table(last, arguments)


if __name__ == "__main__":
    main()
