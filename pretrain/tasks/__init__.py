"""TASKS: the kinds of training that a recipe's `task` may name.

A new task is one file (its module and its recipe) and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from data_filters.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.tasks.task import Task

# Any: each task has features of its own type.
TASKS: dict[str, type[Task[Any]]] = {
    "dual_encoder": DualEncoderTask,
}

DEFAULT_TASK = "dual_encoder"


def get_task(name: str) -> type[Task[Any]]:
    """The task of that name. Raises InputError with the known names."""
    if name not in TASKS:
        near = get_close_matches(str(name), TASKS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"task is {name!r}; allowed are {', '.join(TASKS)}{hint}; mend `task` in the recipe")
    return TASKS[name]


def config_class(values: Mapping[str, Any]) -> type[PretrainConfig]:
    """The class of the recipe that these values make, by their `task`. Raises InputError on an unknown task."""
    return get_task(values.get("task", DEFAULT_TASK)).config_class


def read_config(values: Mapping[str, Any]) -> PretrainConfig:
    """A recipe from values that were checked before, such as those of RUN/config.json."""
    return config_class(values).model_validate(dict(values))
