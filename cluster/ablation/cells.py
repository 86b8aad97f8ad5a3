"""The cells of an ablation, a row with a seed each: what is asked of them and what is done already.

DIR/rows/ROW/seed-S holds `job.json` (what was asked), `run`, `export`, `evaluation/NAME` with its record
`evaluation/NAME.json`, and `result.json`, written last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.ablation.plan import AblationPlan, Evaluation
from data_filters.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.evaluation.runner import check_options
from pretrain.training.setup import plan_run

JOB, RESULT = "job.json", "result.json"


@dataclass(frozen=True)
class PlannedRow:
    """A row whose recipe and data were checked; `identity` is the hash of all that its training depends on."""

    name: str
    config: PretrainConfig
    data: tuple[str, ...]
    steps: int
    identity: str


@dataclass(frozen=True)
class Cell:
    """One training with its evaluations; `start` is the checkpoint that must be there first."""

    row: str
    seed: int
    folder: Path
    job: dict[str, Any]
    start: Path | None

    @property
    def name(self) -> str:
        return f"{self.row}, seed {self.seed}"

    def is_done(self) -> bool:
        """Whether everything that is asked has its result."""
        result = read_json(self.folder / RESULT)
        there = result["evaluations"] if result else {}
        return result is not None and all(one["name"] in there for one in self.job["evaluations"])

    def can_start(self) -> bool:
        """Whether the weights that it starts from are there, or are needed no more."""
        return self.start is None or (self.start / "state.json").is_file() or self.is_trained()

    def is_trained(self) -> bool:
        return (self.folder / "export" / "export.json").is_file()

    def claim(self) -> None:
        """Write what is asked into the cell's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / JOB, self.job)


def check_rows(plan: AblationPlan, data: str, output: Path) -> dict[str, PlannedRow]:
    """Every row of the plan, checked against the data and the others.

    Raises InputError when a recipe does not fit the data, when rows train unequally long, when a row differs in model
    or order of samples from the one that it starts from, or starts after its last step.
    """
    found: dict[str, PlannedRow] = {}
    for name in plan.in_order():
        config = plan.config_of(name)
        try:
            planned = plan_run(config, data, str(output / "rows" / name / "unused"))
        except InputError as error:
            raise InputError(f"row {name}: {error}") from error
        identity = planned.config_hash
        start = plan.start_of(name)
        if start is not None:
            _check_branch(name, config, planned.total_steps, *start, found[start[0]].config)
            identity = short_hash([identity, found[start[0]].identity, start[1]])
        found[name] = PlannedRow(name, planned.config, planned.data, planned.total_steps, identity)
    steps = {row.name: row.steps for row in found.values()}
    if len(set(steps.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in steps.items())
        raise InputError(f"rows train unequally long (steps: {told}); set schedule.steps in `common` alone")
    return found


def _check_branch(
    name: str, config: PretrainConfig, total: int, other: str, steps: int, start: PretrainConfig
) -> None:
    if steps >= total:
        raise InputError(
            f"rows.{name}.start.steps is {steps}; allowed are 1 to {total - 1}, of {total} steps"
        )
    for place in ("model", "tokenizer", "data.batch_size", "data.shuffle_window"):
        mine, theirs = config.model_dump(), start.model_dump()
        for key in place.split("."):
            mine, theirs = mine[key], theirs[key]
        if mine != theirs:
            raise InputError(
                f"row {name} starts from {other} and differs from it in {place}; a branch goes on with the same model "
                "and samples: set it in `common`, or leave `start` out"
            )


def make_cells(
    plan: AblationPlan,
    checked: dict[str, PlannedRow],
    world: str,
    output: Path,
    rows: Sequence[str],
    seeds: Sequence[int],
) -> list[Cell]:
    """The cells of these rows and seeds, seed by seed, a row after the one that it starts from."""
    return [_cell(plan, checked[row], world, output, seed) for seed in seeds for row in plan.in_order(rows)]


def _cell(plan: AblationPlan, row: PlannedRow, world: str, output: Path, seed: int) -> Cell:
    kept = sorted({*row.config.schedule.keep_steps, *plan.shared_steps(row.name)})
    schedule = row.config.schedule.model_copy(update={"keep_steps": tuple(kept)})
    config = row.config.model_copy(update={"seed": seed, "schedule": schedule}).model_dump(mode="json")
    config["name"] = f"{row.config.name}, {row.name}"
    start, checkpoint = plan.start_of(row.name), None
    if start is not None:
        checkpoint = cell_folder(output, start[0], seed) / "run" / "checkpoints" / f"step-{start[1]:08d}"
        config["start"] = {"weights": str(checkpoint), "step": start[1]}
    evaluations = [
        {
            "name": one.name,
            "task": one.task,
            "split": one.split,
            "title": one.title,
            "data": str(Path(world) / one.split) if "://" not in world else f"{world}/{one.split}",
            "options": one.options,
            "identity": evaluation_identity(one, world),
        }
        for one in plan.evaluations_of(row.name)
    ]
    job = {
        "row": row.name,
        "seed": seed,
        "identity": row.identity,
        "steps": row.steps,
        "start": start and {"row": start[0], "steps": start[1]},
        "config": config,
        "data": list(row.data),
        "evaluations": evaluations,
    }
    return Cell(row.name, seed, cell_folder(output, row.name, seed), job, checkpoint)


def check_folder(cells: Sequence[Cell]) -> None:
    """Refuse a folder whose cells were made by another plan. Raises InputError naming both hashes."""
    for cell in cells:
        there = read_json(cell.folder / JOB)
        if there is None:
            continue
        if there["identity"] != cell.job["identity"]:
            raise InputError(
                f"{cell.folder} was begun as {there['identity']}, row {cell.row} of this plan and data is "
                f"{cell.job['identity']}; give a new --output, or that plan and data, or the row another name"
            )
        for one in cell.job["evaluations"]:
            record = read_json(cell.folder / "evaluation" / f"{one['name']}.json")
            if record is not None and record["identity"] != one["identity"]:
                raise InputError(
                    f"{cell.folder} holds evaluation {one['name']} as {record['identity']}, in this plan it is "
                    f"{one['identity']}; give the changed one another name, or a new --output"
                )


def check_evaluations(plan: AblationPlan) -> None:
    """Check task and options of every evaluation, before hours of training. Raises InputError naming the row."""
    every = {id(one): (row, one) for row in plan.rows for one in plan.evaluations_of(row)}
    for row, one in every.values():
        try:
            check_options(one.task, one.options)
        except InputError as error:
            raise InputError(f"row {row}, evaluation {one.name}: {error}") from error


def evaluation_identity(one: Evaluation, world: str) -> str:
    """Hash of all that decides its scores but the weights; a world is known by its `world.json`."""
    return short_hash([one.task, one.split, one.options, read_json(Path(world) / "world.json")])


def cell_folder(output: Path, row: str, seed: int) -> Path:
    return output / "rows" / row / f"seed-{seed}"


def short_hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def read_json(path: Path) -> Any:
    """What a file holds; None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write_json(path: Path, value: Any) -> None:
    """Whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
