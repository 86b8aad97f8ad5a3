"""Runs an evaluation: opens the export, measures, takes the time, writes examples and `metrics.json`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_filters.errors import InputError
from pipelines.common.explain import one_line, validate
from pipelines.common.paths import require_local
from pretrain.evaluation.data.iteration import Progress
from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.results import METRICS, claim_output, write_metrics
from pretrain.evaluation.task import Evaluation, Metrics, number_at
from pretrain.evaluation.tasks import TASKS, AnyTask, get_task

logger = logging.getLogger(__name__)


def run_evaluation(
    task: str,
    export: str | os.PathLike[str],
    data: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    options: EvaluationOptions | Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Evaluate an export on data; returns the metrics, which OUTPUT/metrics.json holds as well.

    `task` is a name in `tasks.TASKS`, `options` are the task's own (`options_of`), as a model or by name. The metrics
    are the task's numbers beside `task`, `export`, `data`, the settings that decide the numbers, `skipped` (samples
    that were passed over, by reason, and `short_of_gallery`, the images that `gallery` asks for beyond the data's) and
    `seconds`. Without `output` nothing is written. Examples and their pictures are written after the metrics: when
    that fails, a warning says why and the result stands.

    Raises InputError on an unknown task, a bad option or path, data that the task cannot use, and for an output folder
    that holds other results.
    """
    began = time.perf_counter()
    export, data = os.fspath(export), os.fspath(data)
    output = None if output is None else require_local("output", os.fspath(output))
    chosen = get_task(task)
    checked = check_options(task, options)
    evaluation = Evaluation(export, data, checked, chosen.open(export, checked), output, progress)
    identity = {"task": task, "export": export, "data": data, **chosen.settings(evaluation)}
    if output is not None:
        claim_output(output, identity)
    measured = chosen.measure(evaluation)
    summary = chosen.summary(evaluation, measured)
    assert identity.keys().isdisjoint(summary), (
        "a number of the task has the name of a setting; see recorded_as"
    )
    metrics = {
        **identity,
        **summary,
        "skipped": dict(evaluation.skipped),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if output is not None:
        write_metrics(output, metrics)
        _write_examples(chosen, evaluation, measured, output)
    return metrics


def _write_examples(task: AnyTask, evaluation: Evaluation[Any], measured: object, output: str) -> None:
    try:
        task.write_examples(evaluation, measured, output)
    except Exception as error:  # whatever fails in a picture, the numbers are right
        logger.warning(
            "examples were not written (%s: %s); the numbers are in %s",
            type(error).__name__,
            one_line(error),
            Path(output) / METRICS,
        )
        logger.debug("examples were not written", exc_info=True)


def options_of(task: str) -> type[EvaluationOptions]:
    """The model of a task's options, for `from_assignments`. Raises InputError on an unknown task."""
    return get_task(task).options


def check_options(
    task: str, options: EvaluationOptions | Mapping[str, object] | None = None
) -> EvaluationOptions:
    """The options of a task, checked. Raises InputError naming the option, its value and what is allowed."""
    model = options_of(task)
    if isinstance(options, EvaluationOptions):
        if not isinstance(options, model):
            raise InputError(
                f"options are {type(options).__name__}; task {task} takes {model.__name__} or a mapping"
            )
        return options
    if options is not None and not isinstance(options, Mapping):
        raise InputError(
            f"options are a {type(options).__name__}; task {task} takes {model.__name__} or a mapping"
        )
    return validate(model, dict(options or {}), f"task {task}")


def check_data(task: str, data: str, options: EvaluationOptions | Mapping[str, object] | None = None) -> None:
    """Check options and data of a task before there is an export, see `EvaluationTask.check_data`.

    Raises InputError on an unknown task, a bad option, data that are not there or do not suffice.
    """
    get_task(task).check_data(data, check_options(task, options))


def headline_numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The few numbers of a result that a console shows, by name; none for a task that is not known."""
    task = TASKS.get(str(metrics.get("task")))
    numbers = {name: number_at(metrics, path) for name, path in (task.headlines if task else {}).items()}
    return {name: number for name, number in numbers.items() if number is not None}
