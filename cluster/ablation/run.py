"""`loupe ablate`: every row of a plan with every seed, each in a process of its own; then table and picture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.ablation.cells import (
    RESULT,
    Cell,
    check_evaluations,
    check_folder,
    check_rows,
    make_cells,
    read_json,
)
from cluster.ablation.page import write_results
from cluster.ablation.plan import AblationPlan
from cluster.ablation.table import Table, make_table
from data_filters.errors import InputError

TOLD_EVERY = 60.0  # seconds between two lines about trainings under way
LOG = "log.txt"


@dataclass(frozen=True)
class Outcome:
    """The table as it stands now, and of the cells of this call those that failed, with the reason."""

    table: Table
    failed: dict[str, str]

    def check(self) -> None:
        """Raises RuntimeError naming what failed."""
        if self.failed:
            told = "; ".join(f"{name}: {reason}" for name, reason in self.failed.items())
            raise RuntimeError(f"{len(self.failed)} failed ({told}); the same command goes on with them")


def run_ablation(
    plan: AblationPlan,
    data: str,
    world: str,
    output: str,
    *,
    rows: Sequence[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    jobs: int = 1,
) -> Outcome:
    """Run what is not done yet in `output`, `jobs` cells at once; ablation.json, .md, .svg and .html follow each cell.

    Rows that the wanted ones start from are run as well. The table holds every finished cell of the plan's rows that
    `output` has, whichever call made it. A cell that fails stops those that start from it alone.

    Raises InputError, before anything runs, where plan, data and folder do not fit.
    """
    if jobs < 1 or not seeds:
        raise InputError(
            f"jobs is {jobs}, seeds are {list(seeds)}; allowed are 1 and more jobs, one seed and more"
        )
    folder, world = Path(output).absolute(), world if "://" in world else str(Path(world).absolute())
    for split in sorted({one.split for row in plan.rows for one in plan.evaluations_of(row)}):
        if "://" not in world and not (Path(world) / split).is_dir():
            raise InputError(
                f"world is {world!r}, which has no folder {split}; give the output of `loupe world`"
            )
    check_evaluations(plan)
    checked = check_rows(plan, data, folder)
    seeds = list(dict.fromkeys(seeds))
    there = sorted({*seeds, *_seeds_in(folder)})
    every = make_cells(plan, checked, world, folder, list(plan.rows), there)
    check_folder(every)
    cells = make_cells(plan, checked, world, folder, plan.in_order(rows), seeds)

    def publish(failed: dict[str, str]) -> Outcome:
        results = [found for cell in every if (found := read_json(cell.folder / RESULT)) is not None]
        table = make_table(plan, results)
        write_results(folder, plan, table, results, failed)
        return Outcome(table, failed)

    return publish(_Runner(cells, jobs, publish).run())


@dataclass
class _Runner:
    """Starts cells when what they start from is there, and waits for them."""

    cells: Sequence[Cell]
    jobs: int
    publish: Callable[[dict[str, str]], object]
    running: dict[str, tuple[Cell, subprocess.Popen[bytes], float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    told: float = 0.0

    def run(self) -> dict[str, str]:
        """Name → reason of every cell that failed."""
        waiting = [cell for cell in self.cells if not cell.is_done()]
        _say(f"{len(self.cells) - len(waiting)} of {len(self.cells)} are done already")
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` is reached
        try:
            while waiting or self.running:
                for cell in [one for one in waiting if one.can_start()][: self.jobs - len(self.running)]:
                    waiting.remove(cell)
                    self._start(cell)
                if waiting and not self.running:  # nothing can start any more, and nothing will change that
                    for cell in waiting:
                        self.failed[cell.name] = f"{cell.start} to start from is not there"
                    break
                time.sleep(0.2)
                self._collect()
                self._tell()
        finally:
            signal.signal(signal.SIGTERM, before)
            for _, process, _ in self.running.values():
                process.terminate()
            for _, process, _ in self.running.values():
                process.wait()
        return self.failed

    def _start(self, cell: Cell) -> None:
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
        """Take leave of the cells whose process has ended."""
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

    def _tell(self) -> None:
        """How far the trainings are, once in a while."""
        if time.monotonic() - self.told < TOLD_EVERY:
            return
        self.told = time.monotonic()
        for name, (cell, _, _) in self.running.items():
            line = _last_line(cell.folder / "run" / "metrics.jsonl")
            if line and not cell.is_trained():
                step = line.partition('"step": ')[2].partition(",")[0]
                _say(f"{name}: step {step} of {cell.job['steps']}")


def _seeds_in(folder: Path) -> list[int]:
    """Seeds that some row in the folder has already."""
    found = {path.name.removeprefix("seed-") for path in (folder / "rows").glob("*/seed-*")}
    return sorted(int(number) for number in found if number.isdigit())


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.is_file() else []
    return lines[-1].removeprefix("loupe: ") if lines else ""


def _say(line: str) -> None:
    print(f"ablation: {line}", file=sys.stderr, flush=True)
