"""What the page says about an evaluation task."""

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
    """The texts and the renderer of a task; each may be left out."""

    remark: str = ""
    """Stands under the heading of the task's scores."""
    headline: str = ""
    """Name of the score in metrics.json that stands at the top of the page."""
    examples: Renderer | None = None
    """Renders the examples that the evaluation left."""
    examples_remark: str = ""
    """Stands over the examples."""
    boxes: bool = False
    """Whether the examples' pictures have coloured boxes on them, which a legend explains."""
