import html
import re

import pytest

from pretrain.report.sources import Run
from pretrain.report.steps import read_stretches, slowest_steps


def line(step: int, seconds: float, **more: float) -> dict:
    return {"step": step, "train/step_seconds": seconds, "data/wait_percent": 0.5, **more}


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / "checkpoints" / "step-00000035").mkdir(parents=True)
    lines = [
        line(10, 2.0, **{"data/bad_samples": 0.0}),
        line(20, 1.0, **{"data/bad_samples": 0.0}),
        line(30, 1.5, **{"data/bad_samples": 2.0, "train/box_loss": 0.0}),
        line(40, 1.25, **{"data/bad_samples": 2.0, "train/box_loss": 0.5}),
        line(43, 9.0, **{"train/slowest_step_seconds": 12.5, "train/box_loss": 0.4}),
    ]
    return Run(tmp_path, {"config": {"schedule": {"checkpoint_every": 20}}}, lines)


def test_other_events(run):
    found = {(stretch.first, stretch.last): stretch.events for stretch in read_stretches(run)}
    assert found == {
        (1, 10): ("the first steps of the run",),
        (11, 20): (),  # the checkpoint of step 20 is written after the line of step 20
        (21, 30): ("checkpoint written after step 20", "2 unreadable samples"),
        (31, 40): ("checkpoint written after step 35", "box begins"),  # one that is there, though not due
        (41, 43): ("checkpoint written after step 40",),
    }


def test_the_slowest_come_first(run):
    page = slowest_steps(run)
    rows = [
        [html.unescape(cell).replace("\u2060", "") for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", page)
    ]
    assert rows[0] == [
        "steps",
        "s per step",
        "other events",
        "of the median",
        "slowest step, s",
        "waiting for data, %",
    ]
    assert rows[1] == ["41–43", "9", "checkpoint written after step 40", "6.00 ×", "12.5", "0.5"]
    assert [row[0] for row in rows[1:]] == ["41–43", "1–10", "21–30", "31–40", "11–20"]
    assert rows[2][4] == "–"
    # By hand: 20 + 10 + 15 + 12.5 + 27 s; beyond the median of 1.5 s: 10 × 0.5 + 3 × 7.5.
    assert "84.5 s together" in page
    assert f"{100 * 27.5 / 84.5:.1f} %" in page


def test_a_run_without_two_stretches_has_no_slowest(run):
    assert slowest_steps(Run(run.folder, run.document, run.steps[:1])) == ""
    assert slowest_steps(Run(run.folder, run.document, [{"step": 1}, {"step": 2}])) == ""
