"""The summary: its figures are those of the funnel, and its JSON holds every field."""

import json

from curation import judged, scores_of

from pipelines.curate.config import CurateConfig
from pipelines.curate.funnel import FilterCounts, Funnel
from pipelines.curate.standing import Standing
from pipelines.curate.summary import CurateSummary, notes

PAIRS = [
    {"key": "good", "shorter_side": 300, "aspect_ratio": 1, "words": 10},
    {"key": "small", "shorter_side": 100, "aspect_ratio": 1, "words": 0},
]


def test_figures_and_json():
    funnel = judged(scores_of(PAIRS, [{"reason": "no_image"}]), CurateConfig()).funnel
    summary = CurateSummary("out", "ab", False, 3, 1, funnel, 2.0, 1.0, "out/report.html")
    assert (summary.pairs, summary.kept, summary.quarantined) == (2, 1, {"no_image": 1})
    assert summary.rejected == {"small_image": 1, "extreme_aspect": 0, "few_words": 0, "many_words": 0}
    read = json.loads(json.dumps(summary.as_json()))
    assert (read["shards"], read["shards_skipped"], read["report"]) == (3, 1, "out/report.html")
    assert read["funnel"]["filters"][0]["rejected_in_order"] == 1
    head, rows = summary.funnel_table()
    assert all(len(row) == len(head) for row in rows)
    assert [row[0] for row in rows] == [*summary.rejected, "kept", "not readable"]


def test_notes_count_in_words_that_agree():
    funnel = Funnel(
        samples=300, pairs=300, kept=2, filters=[FilterCounts("few_words", "keeps: at least 3 words")]
    )
    funnel.filters[0].rejected_in_order = 298
    assert notes(funnel, Standing(changed=["a", "b", "c", "d"]), dry_run=True) == [
        "4 shards (a.tar, b.tar, c.tar, ...) have changed since they were committed: would be curated anew",
        "curation kept only 2 of 300 pairs; the filter few_words dropped most, 298 (keeps: at least 3 words)",
    ]
    assert notes(Funnel(samples=4, quarantined=4), Standing()) == [
        "no pair could be read: 4 of 4 samples are in quarantine"
    ]
    assert notes(Funnel(samples=4, quarantined=4, estimated=3), Standing()) == [
        "no pair could be read: 4 of 4 samples (estimated) are in quarantine"
    ]
    assert notes(Funnel(samples=100, pairs=100, kept=1), Standing()) == []
