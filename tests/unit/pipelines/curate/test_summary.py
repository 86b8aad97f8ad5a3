"""The summary: its figures are those of the funnel, and its JSON holds every field."""

import json

from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import decide
from pipelines.curate.summary import CurateSummary

PAIRS = [
    {"key": "good", "shorter_side": 300, "aspect_ratio": 1, "words": 10},
    {"key": "small", "shorter_side": 100, "aspect_ratio": 1, "words": 0},
]


def test_figures_and_json():
    funnel = decide(PAIRS, [{"reason": "no_image"}], CurateConfig()).funnel
    summary = CurateSummary("out", "ab", False, 3, 1, funnel, 2.0, 1.0, "out/report.html")
    assert (summary.pairs, summary.kept, summary.quarantined) == (2, 1, {"no_image": 1})
    assert summary.rejected == {"small_image": 1, "extreme_aspect": 0, "few_words": 0, "many_words": 0}
    told = json.loads(json.dumps(summary.as_json()))
    assert (told["shards"], told["shards_skipped"], told["report"]) == (3, 1, "out/report.html")
    assert told["funnel"]["filters"][0]["rejected_in_order"] == 1
    head, rows = summary.funnel_table()
    assert all(len(row) == len(head) for row in rows)
    assert [row[0] for row in rows] == [*summary.rejected, "kept", "not readable"]
