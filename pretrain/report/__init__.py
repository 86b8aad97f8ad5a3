"""The page about a run: scores, examples, curves, data and recipe in one self-contained HTML file.

`REPORTED` names what the page says about each evaluation task beside the table of its scores. A new task is one entry;
a task without one has its scores on the page, and no examples.
"""

from pretrain.report.alignment_examples import aligned
from pretrain.report.box_examples import classified, detected, grounded
from pretrain.report.reported_task import ReportedTask
from pretrain.report.retrieval_examples import retrieved

REPORTED: dict[str, ReportedTask] = {
    "retrieval": ReportedTask(
        remark="Zero-shot, in percent; ties count against the model.",
        examples=retrieved,
        examples_remark="Best first; the right answer is framed.",
    ),
    "classification": ReportedTask(
        remark="Zero-shot from the classes' names, in percent; ties count against the model.",
        headline="top1",
        examples=classified,
        examples_remark="The classes whose names are nearest, best first.",
    ),
    "linear-probe": ReportedTask(
        remark="A linear classifier on frozen features, in percent.",
        headline="top1",
    ),
    "detection": ReportedTask(
        remark="All objects of the data's classes, found by the classes' names alone; mean average precision in "
        "percent.",
        headline="mAP@0.5",
        examples=detected,
        examples_remark="Looked for: every class of the data, by its name. A detection is right by its class and its "
        "place.",
        boxes=True,
    ),
    "grounding": ReportedTask(
        remark="One box for each referring expression; share of right ones in percent.",
        headline="accuracy@0.5",
        examples=grounded,
        examples_remark="Looked for: what the words refer to.",
        boxes=True,
    ),
    "alignment": ReportedTask(
        remark="Phrases whose strongest cell lies in their object, regions whose best phrase names them; in percent.",
        examples=aligned,
        examples_remark="Which phrase each numbered region goes with (every row sums to 1), and where each text is "
        "seen.",
    ),
}
