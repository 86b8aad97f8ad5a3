"""How a run learned: a chart for each loss, for each measure of the supervision, for speed and step."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from pipelines.common.html.charts import Point, charts, line_chart
from pipelines.common.html.environment import joined
from pipelines.common.html.parts import folded, heading
from pretrain.report.sources import Json


@dataclass(frozen=True)
class Curve:
    """A chart's title, the unit of its axis, and the factor that turns a logged value into that unit."""

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
    "train/attribution_trusted": Curve("phrases that the teacher trusts", "phrases per image"),
    "train/contrastive_accuracy": Curve("right caption in the batch", "% of images", 100),
}
SPEED = {
    "train/images_per_second": Curve("throughput, all workers", "images per second"),
    "train/step_seconds": Curve("time of a step", "seconds, mean of a stretch"),
    "train/slowest_step_seconds": Curve("slowest step of each stretch", "seconds"),
    "train/step_cpu_seconds": Curve("processor time of a step", "seconds, all threads"),
    "data/wait_percent": Curve("waiting for data", "% of the time"),
    "train/gradient_norm": Curve("gradient norm", "before clipping"),
    "train/learning_rate": Curve("learning rate", ""),
}
_NO_CURVE = ("step", "epoch")


def curves(steps: list[Json]) -> Markup:
    """Charts in groups; empty where fewer than two lines were logged."""
    if len(steps) < 2:
        return Markup("")
    names = dict.fromkeys(name for line in steps for name in line if name not in _NO_CURVE)
    losses = sorted((name for name in names if name.endswith("loss")), key=lambda name: name != "train/loss")
    rest = [name for name in names if name not in {*losses, *SUPERVISION, *SPEED}]
    drawn: list[list[Point]] = []
    groups = (
        ("Losses", {name: Curve(_title(name), "loss") for name in losses}),
        ("Supervision", SUPERVISION),
        ("Speed and steps", SPEED),
    )
    parts: list[Markup] = []
    for text, chosen in groups:
        figures = _figures(steps, chosen, drawn)
        parts += [heading(text), charts(figures)] if figures else []
    others = _figures(steps, {name: Curve(_title(name), "") for name in rest}, drawn)
    return joined([*parts, folded("everything else that was logged", charts(others))])


def _figures(steps: list[Json], chosen: dict[str, Curve], drawn: list[list[Point]]) -> list[Markup]:
    """A chart per metric that was logged; adds its points to `drawn` and leaves out those that are in it already."""
    figures = []
    for name, curve in chosen.items():
        points = [
            (float(line["step"]), curve.factor * line[name])
            for line in steps
            if isinstance(line.get(name), int | float)
        ]
        if points and points not in drawn:  # a single objective of weight 1 is the whole loss
            drawn.append(points)
            figures.append(line_chart(curve.title, points, unit=curve.unit))
    return figures


def _title(name: str) -> str:
    if name == "train/loss":
        return "total loss"
    return name.removeprefix("train/").replace("_", " ").replace("/", ", ")
