"""Every key that a recipe or `--set` takes, in groups by the command that takes them, and the search for one."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from data_filters.errors import InputError
from pipelines.common.options import ANY_NAME, ANY_PLACE, OptionDescription, describe


@dataclass(frozen=True)
class OptionGroup:
    """Keys that one command takes."""

    name: str
    """First part of the full key: `curation`, `evaluation.retrieval`."""
    command: str
    options: list[OptionDescription]

    def narrowed(self, matches: Callable[[str, str], bool]) -> OptionGroup:
        """The same group with the options for which `matches(group's name, key)` is true."""
        return OptionGroup(
            self.name, self.command, [option for option in self.options if matches(self.name, option.key)]
        )


def option_groups() -> list[OptionGroup]:
    """All groups: curation and its rules, phrases, pretraining, each evaluation task, ablation plans. Imports torch."""
    from cluster.ablation.plan import AblationPlan
    from pipelines.curate.config import CurateConfig
    from pipelines.curate.rules import RULES
    from pipelines.phrases.config import PhrasesConfig
    from pretrain.evaluation.tasks import TASKS as EVALUATION_TASKS
    from pretrain.tasks import DEFAULT_TASK
    from pretrain.tasks import TASKS as TRAINING_TASKS

    return [
        OptionGroup("curation", "loupe curate RECIPE", describe(CurateConfig)),
        *(
            OptionGroup(f"curation.rules.{kind}", f"kind: {kind} under rules of loupe curate", describe(rule))
            for kind, rule in RULES.items()
        ),
        OptionGroup("phrases", "loupe phrases --set", describe(PhrasesConfig)),
        *(
            OptionGroup(
                "pretraining" if name == DEFAULT_TASK else f"pretraining.{name}",
                "loupe pretrain RECIPE"
                if name == DEFAULT_TASK
                else f"loupe pretrain RECIPE with task: {name}",
                describe(task.config_class),
            )
            for name, task in TRAINING_TASKS.items()
        ),
        *(
            OptionGroup(f"evaluation.{name}", f"loupe evaluate --task {name} --set", describe(task.options))
            for name, task in EVALUATION_TASKS.items()
        ),
        OptionGroup("ablation", "loupe ablate PLAN", describe(AblationPlan)),
    ]


def find_options(groups: list[OptionGroup], wanted: str) -> list[OptionGroup]:
    """The groups that have `wanted`, narrowed to it: a group, a section, a key, or the last part of a key.

    Raises InputError naming the nearest key where there is none.
    """
    narrowed = [group.narrowed(partial(_matches, wanted)) for group in groups]
    if any(group.options for group in narrowed):
        return [group for group in narrowed if group.options]
    raise InputError(_unknown(groups, wanted))


def _matches(wanted: str, group: str, key: str) -> bool:
    """Whether a key, with its group's name, its end or neither, is `wanted`, stands below it or ends with it."""
    parts, groups = wanted.split("."), group.split(".")
    full = [*groups, *key.split(".")]
    return key.endswith(f".{wanted}") or any(_starts(parts, full[start:]) for start in range(len(groups) + 1))


def _starts(parts: list[str], key: list[str]) -> bool:
    """Whether `key` begins with `parts`; the key's free places take any name."""
    return len(parts) <= len(key) and all(
        place in (part, ANY_NAME, ANY_PLACE) for part, place in zip(parts, key, strict=False)
    )


def _unknown(groups: list[OptionGroup], wanted: str) -> str:
    keys = [option.key for group in groups for option in group.options]
    full = [f"{group.name}.{option.key}" for group in groups for option in group.options]
    near = difflib.get_close_matches(wanted, [*keys, *full, *(key.rpartition(".")[2] for key in keys)], n=1)
    if near:
        return f"unknown key {wanted}; did you mean {near[0]}?"
    return f"unknown key {wanted}; known groups are {', '.join(group.name for group in groups)}"
