"""The directive `registry`: a table of the entries of a registry, made from their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata


class Registry(SphinxDirective):
    """`{registry} module:NAME`: NAME is a dictionary of names and classes, functions or instances of classes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table as nodes."""
        module, _, name = self.arguments[0].partition(":")
        return self.parse_text_to_nodes(table(getattr(import_module(module), name)))


def table(entries: Mapping[str, object]) -> str:
    """MyST text: a row for each entry with the first paragraph of its docstring."""
    rows = [f"| `{name}` | {first_paragraph(entry)} |" for name, entry in entries.items()]
    return "\n".join(["| name | meaning |", "|---|---|", *rows])


def first_paragraph(entry: object) -> str:
    """The first paragraph of a docstring, on one line."""
    text = inspect.getdoc(entry) or ""
    return " ".join(text.partition("\n\n")[0].replace("|", "\\|").split())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("registry", Registry)
    return {"version": "1", "parallel_read_safe": True}
