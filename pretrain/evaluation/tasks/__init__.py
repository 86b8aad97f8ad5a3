"""The evaluation tasks by name. A new one is a class in a file of its own and one line here."""

from __future__ import annotations

from typing import Any

from pipelines.common.registry import lookup
from pretrain.evaluation.task import EvaluationTask
from pretrain.evaluation.tasks.alignment import Alignment
from pretrain.evaluation.tasks.classification import Classification
from pretrain.evaluation.tasks.detection import Detection
from pretrain.evaluation.tasks.grounding import Grounding
from pretrain.evaluation.tasks.linear_probe import LinearProbe
from pretrain.evaluation.tasks.matching import Matching
from pretrain.evaluation.tasks.names import Names
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
    "matching": Matching(),
    "names": Names(),
}


def get_task(name: str) -> AnyTask:
    """The task of that name. Raises InputError naming the known ones and the nearest."""
    return lookup(TASKS, name, "task", "set --task to one of them")
