"""The evaluation tasks by name. A new one is a class in a file of its own and one line here."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from data_filters.errors import InputError
from pretrain.evaluation.task import EvaluationTask
from pretrain.evaluation.tasks.alignment import Alignment
from pretrain.evaluation.tasks.classification import Classification
from pretrain.evaluation.tasks.detection import Detection
from pretrain.evaluation.tasks.grounding import Grounding
from pretrain.evaluation.tasks.linear_probe import LinearProbe
from pretrain.evaluation.tasks.retrieval import Retrieval

# Any: tasks differ in their options and in what they measure; the runner passes both on without reading them.
AnyTask = EvaluationTask[Any, Any]

TASKS: dict[str, AnyTask] = {
    "retrieval": Retrieval(),
    "classification": Classification(),
    "linear-probe": LinearProbe(),
    "detection": Detection(),
    "grounding": Grounding(),
    "alignment": Alignment(),
}


def get_task(name: str) -> AnyTask:
    """The task of that name. Raises InputError naming the known ones and the nearest."""
    if name not in TASKS:
        near = get_close_matches(name, TASKS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"task is {name!r}; allowed are {', '.join(TASKS)}{hint}; set --task to one of them")
    return TASKS[name]
