"""What evaluations found, to look at: a renderer for each task, which turns its examples.json into HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipelines.common.html.page import folded, quiet
from pretrain.evaluation.pictures.boxes import RIGHT, TRUTH, WRONG
from pretrain.evaluation.pictures.examples import PICTURES, read_examples
from pretrain.report.alignment_examples import aligned
from pretrain.report.box_examples import classified, detected, grounded
from pretrain.report.retrieval_examples import retrieved
from pretrain.report.sources import Evaluation

Renderer = Callable[[dict[str, Any], Path], str]
"""(content of examples.json, folder of its pictures) → HTML, empty where there is nothing to show."""

EXAMPLES: dict[str, Renderer] = {
    "retrieval": retrieved,
    "classification": classified,
    "detection": detected,
    "grounding": grounded,
    "alignment": aligned,
}
"""A new task is one function and one line here; a task without one has its scores on the page, no examples."""

_COLOURS = ((TRUTH, "where it is"), (RIGHT, "found, right (IoU 0.5 or more)"), (WRONG, "found, wrong"))
_REMARKS = {
    "retrieval": "Best first; the right answer is framed.",
    "detection": "Looked for: every class of the data, by its name. A detection is right by its class and its place.",
    "grounding": "Looked for: what the words refer to.",
    "classification": "The classes whose names are nearest, best first.",
    "alignment": "Which phrase each numbered region goes with (every row sums to 1), and where each text is seen.",
}
_EVEN = "Chosen evenly over the data, not by success."


def example_sections(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """("What it finds: detection", HTML) for each task with examples.

    Of several evaluations of a task the first lies open, the others under their names.
    """
    shown: dict[str, list[tuple[str, str]]] = {}
    for one in evaluations:
        examples = read_examples(str(one.folder))
        render = EXAMPLES.get(one.task)
        content = render(examples, one.folder / PICTURES) if examples and render else ""
        if content:
            shown.setdefault(one.task, []).append((one.name, content))
    return [(f"What it finds: {task}", _section(task, parts)) for task, parts in shown.items()]


def _section(task: str, parts: Sequence[tuple[str, str]]) -> str:
    (name, first), *others = parts
    legend = _legend() if task in ("detection", "grounding") else ""
    rest = "".join(folded(other, content) for other, content in others)
    return f"{quiet(f'{_EVEN} {_REMARKS[task]}')}{legend}<h3>{html.escape(name)}</h3>{first}{rest}"


def _legend() -> str:
    entries = "".join(
        f'<span><i style="border-color:{color}"></i>{html.escape(meaning)}</span>'
        for color, meaning in _COLOURS
    )
    return f'<div class="legend">{entries}</div>'
