"""What `loupe curate` prints of a funnel that was counted by hand."""

from cluster.cli.curation import print_funnel
from pipelines.curate.funnel import FilterCounts, Funnel
from pipelines.curate.summary import CurateSummary


def summary(**changes) -> CurateSummary:
    """2,010 samples, of which 10 cannot be read: 400 are too small, 100 of the rest have too few words."""
    small = FilterCounts("small_image", "keeps: shorter side above 200 px")
    small.seen, small.rejected, small.rejected_in_order, small.rejected_alone = 2000, 401, 400, 381
    words = FilterCounts("few_words", "keeps: at least 3 words")
    words.seen, words.rejected, words.rejected_in_order, words.rejected_alone = 1600, 120, 100, 99
    funnel = Funnel(2010, 10, 2000, 1500, [small, words], {"bad image": 7, "no caption": 3})
    values = {
        "output": "out",
        "config_hash": "0" * 16,
        "dry_run": False,
        "shards": 2,
        "shards_skipped": 0,
        "funnel": funnel,
        "seconds": 1.0,
        "pairs_per_second": 2000.0,
        "report": "out/report.html",
    }
    return CurateSummary(**(values | changes))


def test_a_line_for_each_filter_and_the_last_says_what_was_kept(capsys):
    print_funnel(summary())
    lines = capsys.readouterr().out.splitlines()
    small = next(line for line in lines if line.startswith("small_image"))
    words = next(line for line in lines if line.startswith("few_words"))
    assert small.split()[-4:] == ["2,000", "400", "401", "381"]
    assert words.split()[-4:] == ["1,600", "100", "120", "99"]
    assert any("bad image" in line and "7" in line for line in lines)
    assert lines[-1] == "kept 1,500 of 2,000 pairs (75.0%); report: out/report.html"


def test_a_dry_run_and_an_empty_input_are_said(capsys):
    print_funnel(summary(dry_run=True, report=None))
    assert capsys.readouterr().out.splitlines()[-1].endswith("(75.0%); nothing written (dry run)")
    print_funnel(summary(funnel=Funnel()))
    assert capsys.readouterr().out.splitlines()[-1] == "kept 0 of 0 pairs; report: out/report.html"
