"""What `loupe curate` prints of a funnel that was counted by hand."""

import json

import pytest
from curation import scanned, store
from raw_shards import picture, write_tar

from cluster.cli.curation import print_estimate, print_funnel, print_plan
from pipelines.curate.config import CurateConfig
from pipelines.curate.estimate import estimate
from pipelines.curate.funnel import FilterCounts, Funnel
from pipelines.curate.inputs import find_units
from pipelines.curate.pilot import PilotShard
from pipelines.curate.plan import make_plan
from pipelines.curate.plan_words import plan_words
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


def test_a_dry_run_shows_the_plan_and_what_a_pilot_tells(capsys):
    found = estimate(
        [PilotShard(100, 1000, 700, 5e5), PilotShard(100, 1000, 800, 6e5)],
        [100] * 10,
        [],
        has_corpus_rules=True,
    )
    print_funnel(summary(dry_run=True, report=None, shards=10, estimate=found))
    assert "counted in 2 of 10 shards; nothing written (dry run)" in capsys.readouterr().out
    print_estimate(found)
    first, tars, said = capsys.readouterr().out.splitlines()
    assert "about 75.0% of the pairs stay" in first
    assert "about 7,500 (" in first
    assert tars.startswith("curated tars: about 5,500,000 (")
    assert "duplicates are underestimated" in said
    print_plan(plan_words(make_plan(CurateConfig(rules={"near": {"kind": "near_captions"}}))))
    plan = capsys.readouterr().out
    assert "pairs that pass the 4 rules before it" in plan
    assert "scores that the scan needs: facts, filters, word_sets" in plan
    assert "recall" in plan


@pytest.fixture
def scored(tmp_path):
    """An output with the scores of three pairs with sides of 210, 230 and 250 px."""
    members: dict[str, bytes | str] = {}
    for number, side in enumerate((210, 230, 250)):
        members |= {f"{number}.jpg": picture(260, side), f"{number}.txt": "one two three"}
    write_tar(tmp_path / "raw" / "0.tar", members)
    (unit,) = find_units(str(tmp_path / "raw"))
    store(scanned(unit), str(tmp_path / "out"))
    (tmp_path / "recipe.yaml").write_text("min_side: 200\n")
    return tmp_path


def test_replay_needs_no_input_and_prints_both_funnels(loupe, scored, no_ray):
    command = ["curate", str(scored / "recipe.yaml"), "--output", str(scored / "out")]
    code, out, _ = loupe(*command, "--replay", "min_side=220", "--replay", "min_words=4")
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert rows["small_image"][-5:] == ["3", "0", "3", "1", "0"]
    assert rows["few_words"][-5:] == ["3", "0", "2", "2", "0"]
    assert "would keep 0 of 3 pairs, today 3; nothing written" in out
    code, out, _ = loupe(*command, "--replay", "min_side=220", "--json")
    assert (code, json.loads(out)["most"]["kept"], json.loads(out)["today"]["kept"]) == (0, 2, 3)
    code, out, _ = loupe(*command, "--replay", "min_characters=5")
    assert (code, "would keep 0 to 3 of 3 pairs" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--replay", "min_sied=3"], "--replay min_sied=3: unknown key min_sied; did you mean min_side?"),
        (["--replay", "min_side"], "--replay 'min_side' is no assignment"),
        (["--replay", "min_side=220", "--dry-run"], "do not go together"),
        (["--replay", "min_side=220", "--output", "EMPTY"], "holds no scores"),
        ([], "--input is missing"),
    ],
)
def test_what_cannot_be_replayed_is_said_in_one_line(loupe, scored, words, said):
    words = [str(scored / "empty") if word == "EMPTY" else word for word in words]
    code, out, err = loupe("curate", str(scored / "recipe.yaml"), "--output", str(scored / "out"), *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "rules.saftey=null"], "has no rule saftey; did you mean rules.safety?"),
        (["--set", "rules.zzzz=null"], "has no rule zzzz; its rules are formats, english,"),
        (["--scores", "EMPTY"], "holds no scores; give an output of `loupe curate`"),
    ],
)
def test_what_would_be_without_effect_is_refused_before_the_run(loupe, scored, no_ray, words, said):
    words = [str(scored / "empty") if word == "EMPTY" else word for word in words]
    command = ["curate", "loupe_paper", "--input", str(scored / "raw"), "--output", str(scored / "new")]
    code, out, err = loupe(*command, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_help_explains_both_in_a_line_each(loupe):
    code, out, _ = loupe("curate", "--help")
    assert code == 0
    for word in ("--dry-run", "--pilot", "--replay", "KEY=VALUE"):
        assert word in out
