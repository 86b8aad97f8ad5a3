"""`loupe ablate`: trains every row of an ablation plan with every seed, each in its own process, and tables them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.ablation.cells import Cell, check_evaluations, check_folder, check_rows, make_cells
from cluster.ablation.finished import append_finished, read_finished, result_of
from cluster.ablation.page import write_results
from cluster.ablation.plan import AblationPlan
from cluster.ablation.records import RESULT, Result
from cluster.ablation.table import Table, make_table
from data_filters.errors import InputError
from pipelines.common.files import read_json
from pipelines.common.paths import require_local

REPORT_SECONDS = 60.0  # between two lines about each running training
LOG = "log.txt"


@dataclass(frozen=True)
class Outcome:
    """The table of all finished cells, and the cells of this call that failed, with the reason."""

    table: Table
    failed: dict[str, str]

    def check(self) -> None:
        """Raise RuntimeError naming the cells that failed, where there are any."""
        if self.failed:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.failed.items())
            raise RuntimeError(f"{len(self.failed)} failed ({reasons}); the same command goes on with them")


def run_ablation(
    ablation_plan: AblationPlan,
    data: str,
    world: str,
    output: str,
    *,
    rows: Sequence[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    jobs: int = 1,
    finished: str | None = None,
) -> Outcome:
    """Run the cells that `output` does not hold yet, `jobs` at the same time; write the results after each cell.

    The results are ablation.json, .md, .svg and .html in `output`; the table holds every finished cell of the plan's
    rows there, from earlier calls too. Rows that the wanted ones start from run as well. A cell that fails stops only
    those that start from it. `finished` is a file of results, a JSON line for each cell: those that fit the plan are
    not run again, and new ones are appended (see `cluster.ablation.finished`).

    Raises InputError, before anything runs, where ablation plan, data and folder do not fit.
    """
    if jobs < 1 or not seeds:
        raise InputError(
            f"jobs is {jobs}, seeds are {list(seeds)}; allowed are 1 and more jobs, one seed and more"
        )
    folder, world = (
        Path(require_local("output", output)),
        world if "://" in world else str(Path(world).absolute()),
    )
    # Rows that are neither wanted nor in the folder may be unfinished plans.
    there = [row for row in ablation_plan.rows if (folder / "rows" / row).is_dir()]
    concerned = ablation_plan.in_order([*ablation_plan.in_order(rows), *there])
    evaluations = [other for row in concerned for other in ablation_plan.evaluations_of(row)]
    for split in sorted({evaluation.split for evaluation in evaluations}):
        if "://" not in world and not (Path(world) / split).is_dir():
            raise InputError(
                f"world is {world!r}, which has no folder {split}; give the output of `loupe world`"
            )
    check_evaluations(ablation_plan, concerned, world)
    checked = check_rows(ablation_plan, data, folder, concerned)
    seeds = list(dict.fromkeys(seeds))
    file = None if finished is None else Path(require_local("finished", finished))
    earlier = read_finished(file)
    all_seeds = sorted({*seeds, *_seeds_in(folder), *(result["seed"] for result in earlier)})
    all_cells = make_cells(ablation_plan, checked, world, folder, concerned, all_seeds)
    check_folder(all_cells)
    cells = make_cells(ablation_plan, checked, world, folder, ablation_plan.in_order(rows), seeds)

    def publish(failed: dict[str, str]) -> Outcome:
        stored = [_stored(cell) for cell in all_cells]
        append_finished(file, [result for result in stored if result is not None])
        stored = [own or result_of(cell.job, earlier) for cell, own in zip(all_cells, stored, strict=True)]
        results = [result for result in stored if result is not None]
        table = make_table(ablation_plan, results)
        write_results(folder, ablation_plan, table, results, failed)
        return Outcome(table, failed)

    return publish(_Runner(_to_run(cells, earlier), jobs, publish).run())


def _stored(cell: Cell) -> Result | None:
    """The result in a cell's folder, under the identity that its settings have in this version."""
    result: Result | None = read_json(cell.folder / RESULT)
    return None if result is None else {**result, "identity": cell.job["identity"]}


def _to_run(cells: Sequence[Cell], earlier: Sequence[Result]) -> list[Cell]:
    """The cells that `earlier` has no result of, and those whose checkpoints they start from, back to the first."""
    chosen, starting = list[Cell](), set[Path]()
    for cell in reversed(cells):  # each comes after the one that it starts from
        if result_of(cell.job, earlier) is None or cell.folder in starting:
            chosen.append(cell)
            if cell.start is not None and not cell.can_start():
                starting.add(cell.start.parents[2])
    return chosen[::-1]


@dataclass
class _Runner:
    """Starts each cell once the checkpoint that it starts from exists, at most `jobs` at the same time."""

    cells: Sequence[Cell]
    jobs: int
    publish: Callable[[dict[str, str]], object]
    running: dict[str, tuple[Cell, subprocess.Popen[bytes], float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    reported: float = 0.0
    """When the last lines about running trainings were printed, seconds of the monotonic clock."""

    def run(self) -> dict[str, str]:
        """Run all cells that are not done; returns name → reason of those that failed."""
        waiting = [cell for cell in self.cells if not cell.is_done()]
        _say(f"{len(self.cells) - len(waiting)} of {len(self.cells)} are done already")
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` is reached
        try:
            while waiting or self.running:
                ready = [cell for cell in waiting if cell.can_start()]
                for cell in ready[: self.jobs - len(self.running)]:
                    waiting.remove(cell)
                    self._start(cell)
                if waiting and not self.running:  # no running cell will write the checkpoints that these need
                    for cell in waiting:
                        self.failed[cell.name] = f"{cell.start} to start from is not there"
                    break
                time.sleep(0.2)
                self._collect()
                self._report()
        finally:
            signal.signal(signal.SIGTERM, before)
            for _, process, _ in self.running.values():
                process.terminate()
            for _, process, _ in self.running.values():
                process.wait()
        return self.failed

    def _start(self, cell: Cell) -> None:
        """Start a cell's process with its share of the cores; its output is appended to the cell's log."""
        cell.claim()
        threads = max(1, len(os.sched_getaffinity(0)) // self.jobs)
        with (cell.folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cluster.ablation.cell_process", str(cell.folder)],
                env=os.environ | {"OMP_NUM_THREADS": str(threads)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.running[cell.name] = cell, process, time.monotonic()
        _say(f"{cell.name}: {'evaluating' if cell.is_trained() else 'training'}")

    def _collect(self) -> None:
        """Remove the cells whose process has ended, and publish or note what became of them."""
        for name, (cell, process, since) in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[name]
            if code == 0:
                _say(f"{name}: done in {time.monotonic() - since:.0f} s")
                self.publish(self.failed)
                continue
            self.failed[name] = _last_line(cell.folder / LOG) if code > 0 else f"ended by signal {-code}"
            _say(f"{name}: failed: {self.failed[name]} ({cell.folder / LOG})")

    def _report(self) -> None:
        """Print the step of each running training, every REPORT_SECONDS."""
        if time.monotonic() - self.reported < REPORT_SECONDS:
            return
        self.reported = time.monotonic()
        for name, (cell, _, _) in self.running.items():
            line = _last_line(cell.folder / "run" / "metrics.jsonl")
            if line and not cell.is_trained():
                step = line.partition('"step": ')[2].partition(",")[0]
                _say(f"{name}: step {step} of {cell.job['steps']}")


def _seeds_in(folder: Path) -> list[int]:
    """Seeds that a row in the folder has a cell of."""
    numbers = {path.name.removeprefix("seed-") for path in (folder / "rows").glob("*/seed-*")}
    return sorted(int(number) for number in numbers if number.isdigit())


def _last_line(path: Path) -> str:
    """The last line of a log without its `loupe: `; empty where there is none."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.is_file() else []
    return lines[-1].removeprefix("loupe: ") if lines else ""


def _say(line: str) -> None:
    print(f"ablation: {line}", file=sys.stderr, flush=True)
