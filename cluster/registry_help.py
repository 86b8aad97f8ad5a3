"""Help texts that name the entries of a registry which takes seconds to import."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from typer._click import (  # typer brings its own click, and gives these no public name
        Context,
        HelpFormatter,
    )


class RegistryHelp(TyperCommand):
    """A command that adds the names in a registry to an option's help, only when that help is printed."""

    registries: ClassVar[Mapping[str, str]] = {}
    """Name of the option's parameter → `module:REGISTRY`, a dict by name."""

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Complete the help texts, then print them."""
        for parameter in self.get_params(ctx):
            place = self.registries.get(parameter.name or "")
            if place is not None and isinstance(parameter, TyperOption):
                module, _, registry = place.partition(":")
                names = ", ".join(getattr(import_module(module), registry))
                parameter.help = f"{parameter.help}: {names}"
        super().format_help(ctx, formatter)
