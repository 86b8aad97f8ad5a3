"""What evaluations found, to look at: a section per task, made of its examples.json by the renderer in `REPORTED`."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipelines.common.html.environment import joined, render
from pipelines.common.html.parts import folded, heading, quiet
from pretrain.evaluation.pictures.boxes import RIGHT, TRUTH, WRONG
from pretrain.evaluation.pictures.examples import PICTURES, read_examples
from pretrain.report import REPORTED
from pretrain.report.sources import Evaluation

_COLOURS = ((TRUTH, "where it is"), (RIGHT, "found, right (IoU 0.5 or more)"), (WRONG, "found, wrong"))
_EVEN = "Chosen evenly over the data, not by success."


def example_sections(evaluations: Sequence[Evaluation]) -> list[tuple[str, Markup]]:
    """("What it finds: detection", HTML) for each task with examples.

    Of several evaluations of a task the first lies open, the others are folded under their names.
    """
    shown: dict[str, list[tuple[str, Markup]]] = {}
    for evaluation in evaluations:
        content = _content(evaluation)
        if content:
            shown.setdefault(evaluation.task, []).append((evaluation.name, content))
    return [(f"What it finds: {task}", _section(task, contents)) for task, contents in shown.items()]


def _content(evaluation: Evaluation) -> Markup:
    """The examples of one evaluation; empty where it left none or its task has no renderer."""
    reported = REPORTED.get(evaluation.task)
    examples = read_examples(str(evaluation.folder)) if reported else None
    if not examples or not reported:
        return Markup("")
    return reported.examples(examples, evaluation.folder / PICTURES)


def _section(task: str, contents: Sequence[tuple[str, Markup]]) -> Markup:
    (name, first), *others = contents
    reported = REPORTED[task]
    legend = render("pretrain.report", "legend.html", colours=_COLOURS) if reported.boxes else Markup("")
    remark = quiet(f"{_EVEN} {reported.remark}".strip())
    return joined([remark, legend, heading(name), first, *(folded(*other) for other in others)])
