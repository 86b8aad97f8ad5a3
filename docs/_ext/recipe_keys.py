"""The directive `recipe-keys`: a table of every key of a recipe, made from the typed fields of its class."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from docutils import nodes
from pydantic import BaseModel
from sphinx.util.docutils import SphinxDirective

from pipelines.common.options import OptionDescription, describe

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata


class RecipeKeys(SphinxDirective):
    """`{recipe-keys} module:NAME [attribute]`: NAME is a class of pydantic fields, or a registry of such.

    Of a registry, each entry has a section; `attribute` says where the entry keeps its class, where it is none itself.
    """

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The tables as nodes."""
        module, _, name = self.arguments[0].partition(":")
        thing = getattr(import_module(module), name)
        attribute = self.arguments[1] if len(self.arguments) > 1 else ""
        # The text has to begin with a heading: what stands before the first one is placed behind all sections.
        if isinstance(thing, Mapping):
            parts = [
                f"## {code(entry)}\n\n{tables(getattr(value, attribute) if attribute else value, '###')}"
                for entry, value in thing.items()
            ]
        else:
            parts = ["## Top-level keys", tables(thing, "##")]
        text = "\n\n".join(parts)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def tables(model_class: type[BaseModel], heading: str) -> str:
    """MyST text: a table of the keys of the class itself, then one under a heading for each section below it."""
    sections: dict[str, list[str]] = {}
    for option in describe(model_class):
        section, _, _ = option.key.rpartition(".")
        row = f"| {code(option.key)} | {cell(option.description)} | {cell(facts(option))} |"
        sections.setdefault(section, []).append(row)
    parts = []
    for section, rows in sections.items():
        title = [f"{heading} {code(section)}", ""] if section else []
        head = ["| key | meaning | type, limits, default |", "|---|---|---|"]
        parts.append("\n".join([*title, *head, *rows]))
    return "\n\n".join(parts)


def facts(option: OptionDescription) -> str:
    """Type, limits and default; and whether the key leaves the output as it is."""
    parts = [option.type, option.limits]
    if option.required:
        parts.append("required")
    elif option.has_own_default:
        parts.append(f"default {code(option.default_text)}")
    if not option.affects_output:
        parts.append("does not change the output")
    return "; ".join(part for part in parts if part)


def code(text: str) -> str:
    """The text in code type."""
    return f"`{text}`"


def cell(text: str) -> str:
    """Text that may stand in a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("recipe-keys", RecipeKeys)
    return {"version": "1", "parallel_read_safe": True}
