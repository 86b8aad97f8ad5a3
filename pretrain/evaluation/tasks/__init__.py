"""The evaluations by name: a new task is one function and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from data_filters.errors import InputError
from pretrain.evaluation.tasks.alignment import evaluate_alignment
from pretrain.evaluation.tasks.classification import evaluate_classification
from pretrain.evaluation.tasks.detection import evaluate_detection
from pretrain.evaluation.tasks.grounding import evaluate_grounding
from pretrain.evaluation.tasks.linear_probe import evaluate_linear_probe
from pretrain.evaluation.tasks.retrieval import evaluate_retrieval

Task = Callable[..., dict[str, Any]]
"""(export, data, output=None, *, batch_size, device, progress, and the task's own options) → metrics."""

TASKS: dict[str, Task] = {
    "retrieval": evaluate_retrieval,
    "classification": evaluate_classification,
    "linear-probe": evaluate_linear_probe,
    "detection": evaluate_detection,
    "grounding": evaluate_grounding,
    "alignment": evaluate_alignment,
}


def get_task(name: str) -> Task:
    """The evaluation of that name. Raises InputError naming the known ones."""
    if name not in TASKS:
        raise InputError(f"task is {name!r}; allowed are {', '.join(TASKS)}; set --task to one of them")
    return TASKS[name]
