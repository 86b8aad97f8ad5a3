"""One cell of an ablation in a process of its own: train, export, evaluate. Finished steps are not repeated.

python -m cluster.ablation.cell_process CELL
"""

from __future__ import annotations

import fcntl
import json
import statistics
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cluster.ablation.records import (
    JOB,
    RESULT,
    EvaluationJob,
    EvaluationScores,
    Job,
    Result,
    TrainingCosts,
)
from cluster.console import progress, training_lines
from data_filters.errors import InputError
from pipelines.common.files import read_json, write_json


def run_cell(folder: Path) -> None:
    """Do what `job.json` asks, and write `result.json` (a `Result`) last.

    Raises InputError when another process works on the cell, or the job does not fit its data.
    """
    with _locked(folder):
        job: Job = json.loads((folder / JOB).read_text(encoding="utf-8"))
        if not (folder / "export" / "export.json").is_file():
            _train(job, folder)
        (folder / "evaluation").mkdir(exist_ok=True)
        scores = {evaluation["name"]: _evaluate(evaluation, folder) for evaluation in job["evaluations"]}
        result: Result = {
            "row": job["row"],
            "seed": job["seed"],
            "identity": job["identity"],
            "steps": job["steps"],
            "start": job["start"],
            "training": training_costs(folder / "run"),
            "evaluations": scores,
        }
        write_json(folder / RESULT, result)


def _train(job: Job, folder: Path) -> None:
    """Train in this process, or go on where an earlier one stopped, then export."""
    from pretrain.export.hugging_face import export_run
    from pretrain.tasks import read_config
    from pretrain.training.launch_local import run_local
    from pretrain.training.setup import prepare_run

    run = prepare_run(read_config(job["config"]), job["data"], str(folder / "run"))
    with training_lines(run.total_steps) as (report, _):
        run_local(run, report)
    export_run(str(folder / "run"), str(folder / "export"))


def _evaluate(evaluation: EvaluationJob, folder: Path) -> EvaluationScores:
    """The scores of an evaluation, from its record where there is one."""
    from pretrain.evaluation.runner import run_evaluation

    name = evaluation["name"]
    file = folder / "evaluation" / f"{name}.json"
    record = read_json(file)
    if record is None or record["identity"] != evaluation["identity"]:
        with progress(name) as tick:
            metrics = run_evaluation(
                evaluation["task"],
                str(folder / "export"),
                evaluation["data"],
                str(folder / "evaluation" / name),
                options=evaluation["options"],
                progress=tick,
            )
        record = {"identity": evaluation["identity"], "metrics": metrics}
        write_json(file, record)
    return {
        "identity": evaluation["identity"],
        "task": evaluation["task"],
        "split": evaluation["split"],
        "title": evaluation["title"],
        "scores": dict(flat_numbers(record["metrics"])),
    }


def flat_numbers(metrics: Mapping[str, object], above: str = "") -> Iterator[tuple[str, float]]:
    """Yield (dotted name, number) of nested metrics; numbers of single classes are left out."""
    for name, value in metrics.items():
        if isinstance(value, Mapping) and name != "per_class":
            yield from flat_numbers(value, f"{above}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{above}{name}", value


def training_costs(run: Path) -> TrainingCosts:
    """Wall-clock and CPU seconds per step, medians over the steps that this run logged, and how many steps it took."""
    from pretrain.training.metrics import read_metrics

    lines = read_metrics(run)
    start = json.loads((run / "config.json").read_text())["config"]["start"]["step"]
    return {
        "seconds_per_step": statistics.median(line["train/step_seconds"] for line in lines),
        "cpu_seconds_per_step": statistics.median(line["train/step_cpu_seconds"] for line in lines),
        "own_steps": lines[-1]["step"] - start,
    }


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the cell's lock; the system releases it when this process ends. Raises InputError where another has it."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{folder} is being worked on by another process; wait for it or stop it"
            ) from error
        yield


def main() -> None:
    """Run the cell of argument 1. Exit codes: 0 done, 2 wrong input, 1 a failure; the last line says why."""
    try:
        run_cell(Path(sys.argv[1]))
    except InputError as error:
        print(f"loupe: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(str(error).split())
        print(f"loupe: {type(error).__name__}: {reason}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
