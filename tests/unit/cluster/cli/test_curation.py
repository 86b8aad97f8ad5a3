"""What `loupe curate` prints of a funnel that was counted by hand."""

from cluster.cli.curation import funnel_table, print_funnel
from pipelines.curate.decide import FilterCounts, Funnel
from pipelines.curate.run import CurateSummary


def summary(**changes) -> CurateSummary:
    """2,010 samples, of which 10 cannot be read: 400 are too small, 100 of the rest have too few words."""
    small = FilterCounts("small_image", "shorter_side", "min_side", 200)
    small.seen, small.rejected, small.rejected_in_order, small.rejected_alone = 2000, 400, 400, 380
    words = FilterCounts("few_words", "words", "min_words", 3)
    words.seen, words.rejected, words.rejected_in_order, words.rejected_alone = 1600, 120, 100, 100
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


def test_a_row_for_each_filter():
    _, rows = funnel_table(summary())
    assert rows == [
        ["small_image", "min_side 200", "2,000", "400", "20.0", "380"],
        ["few_words", "min_words 3", "1,600", "100", "6.2", "100"],
    ]


def test_the_last_line_says_what_was_kept_and_where_the_report_is(capsys):
    print_funnel(summary())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["small_image", "few_words"]
    assert lines[3:] == [
        "could not be read: bad image 7, no caption 3",
        "kept 1,500 of 2,000 pairs (75.0%); report: out/report.html",
    ]


def test_a_dry_run_and_an_empty_input_are_said(capsys):
    print_funnel(summary(dry_run=True, report=None))
    assert capsys.readouterr().out.splitlines()[-1].endswith("(75.0%); nothing written (dry run)")
    print_funnel(summary(funnel=Funnel()))
    assert capsys.readouterr().out.splitlines()[-1] == "kept 0 of 0 pairs; report: out/report.html"
