"""One cell of an ablation in a process of its own: train, export, evaluate; what is done is not done again.

python -m cluster.ablation.cell_process CELL
"""

from __future__ import annotations

import fcntl
import json
import statistics
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.ablation.cells import JOB, RESULT, read_json, write_json
from cluster.console import progress, training_lines
from data_filters.errors import InputError


def run_cell(folder: Path) -> dict[str, Any]:
    """Do what `job.json` asks, and write `result.json` last; its content is returned."""
    with _alone(folder):
        job = json.loads((folder / JOB).read_text(encoding="utf-8"))
        if not (folder / "export" / "export.json").is_file():
            _train(job, folder)
        (folder / "evaluation").mkdir(exist_ok=True)
        scores = {one["name"]: _evaluate(one, folder) for one in job["evaluations"]}
        result = {name: job[name] for name in ("row", "seed", "identity", "steps", "start")}
        result |= {"training": training_costs(folder / "run"), "evaluations": scores}
        write_json(folder / RESULT, result)
        return result


def _train(job: dict[str, Any], folder: Path) -> None:
    from pretrain.config import PretrainConfig
    from pretrain.export.hugging_face import export_run
    from pretrain.training.launch_local import run_local
    from pretrain.training.setup import plan_run

    planned = plan_run(PretrainConfig.model_validate(job["config"]), job["data"], str(folder / "run"))
    with training_lines(planned.total_steps) as (report, _):
        run_local(planned, report)
    export_run(str(folder / "run"), str(folder / "export"))


def _evaluate(one: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The scores of an evaluation: {task, split, title, scores}; from its record where there is one."""
    from pretrain.evaluation.runner import run_evaluation

    file = folder / "evaluation" / f"{one['name']}.json"
    record = read_json(file)
    if record is None or record["identity"] != one["identity"]:
        with progress(one["name"]) as tick:
            metrics = run_evaluation(
                one["task"],
                str(folder / "export"),
                one["data"],
                str(folder / "evaluation" / one["name"]),
                options=one["options"],
                progress=tick,
            )
        record = {"identity": one["identity"], "metrics": metrics}
        write_json(file, record)
    scores = dict(flat_numbers(record["metrics"]))
    return {"task": one["task"], "split": one["split"], "title": one["title"], "scores": scores}


def flat_numbers(metrics: dict[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """(a.b, number) of nested metrics; what is said of single classes is left out."""
    for name, value in metrics.items():
        if isinstance(value, dict) and name != "per_class":
            yield from flat_numbers(value, f"{above}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{above}{name}", value


def training_costs(run: Path) -> dict[str, float]:
    """Seconds a step by the clock and of CPU time, medians over what this run logged; how many steps it took."""
    from pretrain.training.metrics import read_metrics

    lines = read_metrics(run)
    start = json.loads((run / "config.json").read_text())["config"]["start"]["step"]
    return {
        "seconds_per_step": statistics.median(line["train/step_seconds"] for line in lines),
        "cpu_seconds_per_step": statistics.median(line["train/step_cpu_seconds"] for line in lines),
        "own_steps": lines[-1]["step"] - start,
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse a cell that another process works on. The system lets go of it when this one ends, however it ends."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"{folder} is being worked on by another process; wait for it or stop it"
            ) from error
        yield


def main() -> None:
    """Exit codes as those of the command: 2 for wrong input, 1 for a failure; the last line says why."""
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
