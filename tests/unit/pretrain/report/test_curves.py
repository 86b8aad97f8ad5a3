import re

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
