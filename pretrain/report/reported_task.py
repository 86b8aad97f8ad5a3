"""How the page shows the examples of an evaluation task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from pretrain.report.sources import Json

Renderer = Callable[[Json, Path], Markup]
"""(content of examples.json, folder of its pictures) → HTML, empty where there is nothing to show."""


@dataclass(frozen=True)
class ReportedTask:
    """The renderer of a task's examples, and what is said about them."""

    examples: Renderer
    """Renders the examples that the evaluation left."""
    remark: str = ""
    """Stands over the examples."""
    boxes: bool = False
    """Whether the examples' pictures have coloured boxes on them, which a legend explains."""
