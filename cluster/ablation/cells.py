"""The cells of an ablation, one for each row and seed: what each has to do, and what is done already.

DIR/rows/ROW/seed-S holds `job.json` (what was asked), `run`, `export`, `evaluation/NAME` with its record
`evaluation/NAME.json`, and `result.json`, written last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.ablation.plan import AblationPlan, Evaluation
from cluster.ablation.records import JOB, RESULT, Job, Result
from data_filters.errors import InputError
from pipelines.common.files import join, read_json, write_json
from pretrain.config import PretrainConfig
from pretrain.data.shards.shard_records import ShardRecord
from pretrain.evaluation.runner import check_data
from pretrain.tasks import read_config
from pretrain.training.resuming import changed_settings, changed_shards, named_settings, named_shards
from pretrain.training.run_record import read_run_record
from pretrain.training.setup import prepare_run


@dataclass(frozen=True)
class PlannedRow:
    """A row whose recipe and data are checked; `identity` is the hash of all that its training depends on."""

    name: str
    config: PretrainConfig
    data: tuple[str, ...]
    steps: int
    identity: str
    shards: tuple[ShardRecord, ...]


@dataclass(frozen=True)
class Cell:
    """One training with its evaluations; `start` is the checkpoint that it needs before it can begin."""

    row: str
    seed: int
    folder: Path
    job: Job
    start: Path | None
    shards: tuple[ShardRecord, ...] = ()

    @property
    def name(self) -> str:
        """The cell as messages name it."""
        return f"{self.row}, seed {self.seed}"

    def is_done(self) -> bool:
        """Whether the result holds every evaluation of the job."""
        result: Result | None = read_json(self.folder / RESULT)
        return result is not None and all(
            evaluation["name"] in result["evaluations"] for evaluation in self.job["evaluations"]
        )

    def can_start(self) -> bool:
        """Whether the checkpoint that it starts from exists, or is no longer needed."""
        return self.start is None or (self.start / "state.json").is_file() or self.is_trained()

    def is_trained(self) -> bool:
        """Whether its export is written, which follows the training."""
        return (self.folder / "export" / "export.json").is_file()

    def claim(self) -> None:
        """Write the job into the cell's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / JOB, self.job)


def check_rows(
    ablation_plan: AblationPlan, data: str, output: Path, rows: Sequence[str] | None = None
) -> dict[str, PlannedRow]:
    """Check rows of the ablation plan (None: all), and those that they start from, against the data and each other.

    Raises InputError when a recipe does not fit the data, when rows without `steps` train unequally long, when a row
    differs in model or order of samples from the one that it starts from, or starts after its last step.
    """
    checked: dict[str, PlannedRow] = {}
    for name in ablation_plan.in_order(rows):
        config = ablation_plan.config_of(name)
        try:
            planned = prepare_run(config, data, str(output / "rows" / name / "unused"))
        except InputError as error:
            raise InputError(f"row {name}: {error}") from error
        identity = planned.config_hash
        start = ablation_plan.start_of(name)
        if start is not None:
            _check_branch(name, config, planned.total_steps, *start, checked[start[0]].config)
            identity = short_hash([identity, checked[start[0]].identity, start[1]])
        checked[name] = PlannedRow(
            name, planned.config, planned.data, planned.total_steps, identity, planned.shards
        )
    steps = {row.name: row.steps for row in checked.values() if ablation_plan.rows[row.name].steps is None}
    if len(set(steps.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in steps.items())
        raise InputError(
            f"rows train unequally long (steps: {listed}); set schedule.steps in `common` alone, or `steps` of a "
            "row that is meant to differ"
        )
    return checked


def _check_branch(
    name: str, config: PretrainConfig, total: int, other: str, steps: int, start: PretrainConfig
) -> None:
    """Refuse row `name` with `total` steps where it cannot go on with row `other`, recipe `start`, after `steps`."""
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
    ablation_plan: AblationPlan,
    checked: dict[str, PlannedRow],
    world: str,
    output: Path,
    rows: Sequence[str],
    seeds: Sequence[int],
) -> list[Cell]:
    """The cells of these rows and seeds, seed by seed, each row after the one that it starts from."""
    ordered = ablation_plan.in_order(rows)
    return [_cell(ablation_plan, checked[row], world, output, seed) for seed in seeds for row in ordered]


def _cell(ablation_plan: AblationPlan, row: PlannedRow, world: str, output: Path, seed: int) -> Cell:
    kept = sorted({*row.config.schedule.keep_steps, *ablation_plan.shared_steps(row.name)})
    schedule = row.config.schedule.model_copy(update={"keep_steps": tuple(kept)})
    config = row.config.model_copy(update={"seed": seed, "schedule": schedule}).model_dump(mode="json")
    config["name"] = f"{row.config.name}, {row.name}"
    start, checkpoint = ablation_plan.start_of(row.name), None
    if start is not None:
        checkpoint = cell_folder(output, start[0], seed) / "run" / "checkpoints" / f"step-{start[1]:08d}"
        config["start"] = {"weights": str(checkpoint), "step": start[1]}
    job: Job = {
        "row": row.name,
        "seed": seed,
        "identity": row.identity,
        "steps": row.steps,
        "start": None if start is None else {"row": start[0], "steps": start[1]},
        "config": config,
        "data": list(row.data),
        "evaluations": [
            {
                "name": evaluation.name,
                "task": evaluation.task,
                "split": evaluation.split,
                "title": evaluation.title,
                "data": data_of(evaluation, world),
                "options": evaluation.options,
                "identity": evaluation_identity(evaluation, world),
            }
            for evaluation in ablation_plan.evaluations_of(row.name)
        ],
    }
    return Cell(row.name, seed, cell_folder(output, row.name, seed), job, checkpoint, row.shards)


def check_folder(cells: Sequence[Cell]) -> None:
    """Refuse a folder whose cells were made by another ablation plan. Raises InputError naming what differs."""
    for cell in cells:
        earlier: Job | None = read_json(cell.folder / JOB)
        if earlier is None:
            continue
        # Another version may give the same settings another hash: what counts is what they are.
        if earlier["identity"] != cell.job["identity"] and (changes := _changes(cell, earlier)):
            raise InputError(
                f"{cell.folder} was started otherwise than row {cell.row} is now: {'; '.join(changes)}; give a new "
                "--output, or that plan and data, or the row another name"
            )
        for evaluation in cell.job["evaluations"]:
            name, identity = evaluation["name"], evaluation["identity"]
            record = read_json(cell.folder / "evaluation" / f"{name}.json")
            if record is not None and record["identity"] != identity:
                raise InputError(
                    f"{cell.folder} holds evaluation {name} as {record['identity']}, in this plan it is "
                    f"{identity}; give the changed one another name, or a new --output"
                )


def _changes(cell: Cell, earlier: Job) -> list[str]:
    """What decides the training of a cell and differs from its earlier job, each with both values.

    `start` is compared by row and steps: the path of its checkpoint changes with the folder of the ablation.
    """
    job, changes = cell.job, list[str]()
    if earlier["start"] != job["start"]:
        changes.append(f"start is {json.dumps(earlier['start'])} there, {json.dumps(job['start'])} here")
    try:
        settings = changed_settings(
            {**earlier["config"], "start": {}}, read_config({**job["config"], "start": {}})
        )
    except ValueError as error:
        return [f"its recipe is not understood by this version ({error})"]
    if settings:
        changes.append(named_settings(settings))
    record = read_run_record(cell.folder / "run")
    if record and (shards := changed_shards(record.shards, cell.shards, 0)):
        changes.append(named_shards(shards))
    return changes


def check_evaluations(plan: AblationPlan, rows: Sequence[str], world: str) -> None:
    """Check task, options and data of every evaluation of the rows, before hours of training.

    Raises InputError naming the row and the evaluation.
    """
    # Rows share the plan's evaluations; each is checked once.
    distinct: dict[int, tuple[str, Evaluation]] = {}
    for row in rows:
        for shared in plan.evaluations_of(row):
            distinct.setdefault(id(shared), (row, shared))
    for row, evaluation in distinct.values():
        try:
            check_data(evaluation.task, data_of(evaluation, world), evaluation.options)
        except InputError as error:
            raise InputError(f"row {row}, evaluation {evaluation.name}: {error}") from error


def data_of(evaluation: Evaluation, world: str) -> str:
    """The folder or URI that an evaluation reads."""
    return f"{world}/{evaluation.split}" if "://" in world else str(Path(world) / evaluation.split)


def evaluation_identity(evaluation: Evaluation, world: str) -> str:
    """Hash of all that decides the scores except the weights; `world.json` stands for the data."""
    made_as = read_json(join(world, "world.json"))
    return short_hash([evaluation.task, evaluation.split, evaluation.options, made_as])


def cell_folder(output: Path, row: str, seed: int) -> Path:
    """The folder of a row's cell."""
    return output / "rows" / row / f"seed-{seed}"


def short_hash(value: object) -> str:
    """16 hex digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
