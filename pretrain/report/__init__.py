"""The page about a run: scores, examples, curves, data and recipe in one self-contained HTML file.

`REPORTED` names how the page shows the examples of an evaluation task; a new one is one entry. A task without an entry
has its scores on the page, and no examples. Texts about the scores are attributes of the task (`EvaluationTask`).
"""

from pretrain.report.alignment_examples import render_alignment
from pretrain.report.box_examples import render_classification, render_detection, render_grounding
from pretrain.report.reported_task import ReportedTask
from pretrain.report.retrieval_examples import render_retrieval

REPORTED: dict[str, ReportedTask] = {
    "retrieval": ReportedTask(render_retrieval, "Best first; the right answer is framed."),
    "classification": ReportedTask(render_classification, "The classes whose names are nearest, best first."),
    "detection": ReportedTask(
        render_detection,
        "Looked for: every class of the data, by its name. A detection is right by its class and its place.",
        boxes=True,
    ),
    "grounding": ReportedTask(
        render_grounding,
        "Looked for: what the words refer to.",
        boxes=True,
    ),
    "alignment": ReportedTask(
        render_alignment,
        "Which phrase each numbered region goes with (every row sums to 1), and where each text is seen.",
    ),
}
