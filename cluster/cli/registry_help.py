"""Help texts that name what registries hold, such as `{evaluation_tasks}`.

The registries are read when the help of that one command is printed: most of them import torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer._click.core import Context
    from typer._click.formatting import HelpFormatter

REGISTRIES: dict[str, tuple[str, str]] = {
    "recipe_kinds": ("cluster.recipe_kinds", "KINDS"),
    "filters": ("data_filters", "FILTERS"),
    "rules": ("pipelines.curate.rules", "RULES"),
    "training_tasks": ("pretrain.tasks", "TASKS"),
    "objectives": ("pretrain.objectives", "OBJECTIVES"),
    "export_formats": ("pretrain.export", "FORMATS"),
    "evaluation_tasks": ("pretrain.evaluation.tasks", "TASKS"),
}
"""Placeholder in a help text → (module, its dictionary of names)."""


def registry_names(placeholder: str) -> list[str]:
    """The names that a registry holds; imports its module."""
    module, attribute = REGISTRIES[placeholder]
    registry: Mapping[str, object] = getattr(importlib.import_module(module), attribute)
    return list(registry)


def fill(text: str | None) -> str | None:
    """`text` with each `{placeholder}` of REGISTRIES replaced by the names, as `a, b, c`."""
    for placeholder in REGISTRIES:
        mark = f"{{{placeholder}}}"
        if text is not None and mark in text:
            text = text.replace(mark, ", ".join(registry_names(placeholder)))
    return text


class RegistryHelp(TyperCommand):
    """A command whose help texts may hold the placeholders of REGISTRIES."""

    def fill_help(self) -> None:
        """Replace the placeholders in the help texts of the command and of its parameters."""
        self.help = fill(self.help)
        for parameter in self.params:
            # Arguments and options have a help text; the class that they share has not.
            described: Any = parameter
            described.help = fill(described.help)

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Print the help with the registries' names."""
        self.fill_help()
        super().format_help(ctx, formatter)
