"""How a run learned: a chart for each loss, for what the supervision says of itself, for speed and step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipelines.common.html.charts import Point, line_chart
from pipelines.common.html.page import folded


@dataclass(frozen=True)
class Curve:
    """A chart's title, the unit of its axis, and what a logged value is multiplied by to be in it."""

    title: str
    unit: str
    factor: float = 1.0


SUPERVISION = {
    "train/supervision_share_sampled": Curve("share sampled", "% of interactions", 100),
    "train/supervision_share_predicted": Curve("share predicted by UNSIL", "% of interactions", 100),
    "train/supervision_share_overflow": Curve("asked for beyond the budget", "% of interactions", 100),
    "train/supervision_mean_sigma": Curve("mean uncertainty", "σ, 0 to 1"),
    "train/supervision_relative_error": Curve("error of UNSIL's predictions", "of the targets' size"),
    "train/attribution_box_iou": Curve("boxes against the teacher's", "mean IoU"),
    "train/attribution_trusted": Curve("phrases that the teacher trusts", "phrases an image"),
    "train/contrastive_accuracy": Curve("right caption in the batch", "% of images", 100),
}
SPEED = {
    "train/images_per_second": Curve("throughput, all workers", "images a second"),
    "train/step_seconds": Curve("time of a step", "seconds, mean of a stretch"),
    "train/slowest_step_seconds": Curve("slowest step of each stretch", "seconds"),
    "train/step_cpu_seconds": Curve("processor time of a step", "seconds, all threads"),
    "data/wait_percent": Curve("waiting for data", "% of the time"),
    "train/gradient_norm": Curve("gradient norm", "before clipping"),
    "train/learning_rate": Curve("learning rate", ""),
}
_NO_CURVE = ("step", "epoch")


def curves(steps: list[dict[str, Any]]) -> str:
    """Charts in groups; nothing where fewer than two lines were logged."""
    if len(steps) < 2:
        return ""
    names = dict.fromkeys(name for line in steps for name in line if name not in _NO_CURVE)
    losses = sorted((name for name in names if name.endswith("loss")), key=lambda name: name != "train/loss")
    rest = [name for name in names if name not in {*losses, *SUPERVISION, *SPEED}]
    drawn: list[list[Point]] = []
    groups = (
        ("Losses", {name: Curve(_spoken(name), "loss") for name in losses}),
        ("Supervision", SUPERVISION),
        ("Speed and steps", SPEED),
    )
    shown = [(heading, _charts(steps, chosen, drawn)) for heading, chosen in groups]
    others = _charts(steps, {name: Curve(_spoken(name), "") for name in rest}, drawn)
    return "".join(f"<h3>{heading}</h3>{charts}" for heading, charts in shown if charts) + folded(
        "everything else that was logged", others
    )


def _charts(steps: list[dict[str, Any]], chosen: dict[str, Curve], drawn: list[list[Point]]) -> str:
    found = "".join(_each(steps, chosen, drawn))
    return f'<div class="charts">{found}</div>' if found else ""


def _each(steps: list[dict[str, Any]], chosen: dict[str, Curve], drawn: list[list[Point]]) -> Iterable[str]:
    for name, curve in chosen.items():
        points = [
            (float(line["step"]), curve.factor * line[name])
            for line in steps
            if isinstance(line.get(name), int | float)
        ]
        if points and points not in drawn:  # a single objective of weight 1 is the whole loss
            drawn.append(points)
            yield line_chart(curve.title, points, unit=curve.unit)


def _spoken(name: str) -> str:
    if name == "train/loss":
        return "total loss"
    return name.removeprefix("train/").replace("_", " ").replace("/", ", ")
