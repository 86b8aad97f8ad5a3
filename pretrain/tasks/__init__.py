"""TASKS lists the kinds of training that a recipe's `task` may name.

To add a task, write its module and the class of its recipe, and add one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.common.registry import lookup
from pretrain.config import PretrainConfig
from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.tasks.matcher import MatcherTask
from pretrain.tasks.task import Task

# Any: each task has features of its own type.
TASKS: dict[str, type[Task[Any]]] = {
    "dual_encoder": DualEncoderTask,
    "matcher": MatcherTask,
}

DEFAULT_TASK: str = PretrainConfig.model_fields["task"].default


def get_task(name: str) -> type[Task[Any]]:
    """Return the class of the task `name`. Raises InputError, with the known names, when there is none."""
    return lookup(TASKS, name, "task", "mend `task` in the recipe")


# Any: values as YAML or JSON holds them; pydantic checks them.
def config_class(values: Mapping[str, Any]) -> type[PretrainConfig]:
    """Return the recipe class for these values, chosen by their `task`. Raises InputError on an unknown task."""
    return get_task(values.get("task", DEFAULT_TASK)).config_class


def read_config(values: Mapping[str, Any]) -> PretrainConfig:
    """Make a recipe of values that were checked before, such as those of RUN/config.json.

    Raises InputError on an unknown task, and pydantic's ValidationError on values that do not fit.
    """
    return config_class(values).model_validate(dict(values))
