import re

from pipelines.common.html.charts import WIDTH, line_chart, thinned, tick_labels
from pretrain.report.curves import curves

STEPS = [
    {
        "step": step,
        "epoch": step / 10,
        "train/contrastive_loss": 3.0 - step / 20,
        "train/loss": 3.5 - step / 20,
        "train/supervision_share_sampled": step / 100,
        "train/supervision_mean_sigma": 0.9,
        "train/step_seconds": 0.5,
        "train/something_new": 7.0 + step,
    }
    for step in (10, 20, 30)
]


def test_each_loss_and_share_has_a_chart_with_its_unit():
    page = curves(STEPS)
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert titles == [
        "total loss",
        "contrastive loss",
        "share sampled",
        "mean uncertainty",
        "time of a step",
        "something new",
    ]
    charts = dict(zip(titles, re.findall(r"<svg.*?</svg>", page, re.DOTALL), strict=True))
    assert "% of interactions" in charts["share sampled"]
    assert ">30</text>" in charts["share sampled"]  # the last value, 0.3, in percent
    assert "seconds" in charts["time of a step"]
    assert all(">step</text>" in chart for chart in charts.values())
    assert page.index("everything else") < page.index("something new")


def test_a_single_line_makes_no_curve():
    assert curves(STEPS[:1]) == ""


def test_a_metric_that_begins_later_is_drawn_from_there_on():
    later = [*STEPS, {"step": 40, "train/late_loss": 2.0}, {"step": 50, "train/late_loss": 1.0}]
    assert "late loss" in curves(later)


def test_long_runs_are_thinned_without_losing_a_peak():
    points = [(float(step), 1.0) for step in range(100_000)]
    points[54_321] = (54_321.0, 9.0)
    kept = thinned(points, 300)
    assert len(kept) <= 300
    assert (54_321.0, 9.0) in kept
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert kept == sorted(kept)
    assert len(line_chart("loss", points)) < 10_000


def test_ticks_are_written_with_the_digits_that_tell_them_apart():
    assert tick_labels([0.998, 0.9985, 0.999]) == ["0.9980", "0.9985", "0.9990"]
    assert tick_labels([3.4, 3.6, 3.8]) == ["3.4", "3.6", "3.8"]
    assert tick_labels([3.46, 3.47, 3.48]) == ["3.46", "3.47", "3.48"]
    assert tick_labels([0, 50, 100]) == ["0", "50", "100"]
    assert tick_labels([2]) == ["2"]


def test_labels_stay_in_the_picture():
    """At the widths of a wide font (12 px letters): a text set to the right ends at its x, another begins there."""
    chart = line_chart("rate", [(0, 0.001), (100, 0.0000123)], unit="seconds, mean of a stretch")
    for x, anchor, text in re.findall(
        r'<text[^>]* ?x="([\d.]+)"[^>]*?(text-anchor="\w+")?>(.*?)</text>', chart
    ):
        width = sum(3.9 if letter in ".,-il" else 7.7 for letter in text)
        start = float(x) - (width if "end" in anchor else width / 2 if "middle" in anchor else 0)
        assert start >= -1, text
        assert start + width <= WIDTH + 8, text
