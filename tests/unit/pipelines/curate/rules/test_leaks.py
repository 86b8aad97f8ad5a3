"""The rule's decisions on rows made by hand."""

import pyarrow as pa
import pydantic
import pytest
from raw_shards import picture, write_tar

from data_filters.errors import InputError
from pipelines.curate.look.leaks import LeakScores
from pipelines.curate.look.perceptual import PdqScores
from pipelines.curate.rules.leaks import Leaks
from pipelines.leaks.build import build_index

# distance, bytes, caption, quality → fails
CASES = [
    ((0, False, False, 90), True),
    ((31, False, False, 50), True),
    ((32, False, False, 90), False),  # nothing within reach
    ((0, False, False, 49), False),  # no verdict
    ((0, True, False, 10), True),  # no verdict, but the same bytes
    ((32, True, False, 90), True),  # a picture that does not decode in the index
    ((32, False, True, 90), False),  # a caption is flagged only
    ((None, None, None, None), True),  # not scored
]
ROWS = pa.table(
    {
        name: pa.array([case[0][place] for case in CASES], kind)
        for place, (name, kind) in enumerate(
            zip(
                ("leak_distance", "leak_bytes", "leak_caption", "pdq_quality"),
                (pa.int16(), pa.bool_(), pa.bool_(), pa.int16()),
                strict=True,
            )
        )
    }
)


def test_rows_fail_by_distance_and_bytes():
    rule = Leaks(index=("x",))
    assert rule.fails(ROWS.select(rule.columns())).tolist() == [fails for _, fails in CASES]
    assert rule.without_verdict(ROWS).tolist() == [False, False, False, True, True, False, False, False]


def test_captions_are_dropped_on_request_alone():
    assert Leaks(index=("x",), captions="drop").fails(ROWS).tolist()[6]
    assert "caption in none" in Leaks(index=("x",), captions="drop").words()
    assert "caption" not in Leaks(index=("x",)).words()


@pytest.mark.parametrize(("limit", "kept"), [(30, [1]), (0, [1]), (31, [])])
def test_a_smaller_distance_keeps_more(limit, kept):
    fails = Leaks(index=("x",), max_distance=limit).fails(ROWS)
    assert [row for row in (0, 1) if not fails[row]] == kept
    assert f"more than {limit} bits" in Leaks(index=("x",), max_distance=limit).limit()


def test_a_lower_quality_gives_more_verdicts():
    assert Leaks(index=("x",), min_quality=49).fails(ROWS).tolist()[3]


def test_values_say_what_was_compared():
    rule = Leaks(index=("x",), captions="drop")
    assert rule.values(ROWS)[:7] == [0, 31, 32, 0, "same bytes", "same bytes", "same caption"]


def test_one_index_may_be_written_without_a_list():
    assert Leaks.model_validate({"kind": "leaks", "index": "x"}).index == ("x",)
    assert Leaks.model_validate({"index": ["x", "y"]}).groups() == (PdqScores(), LeakScores(("x", "y")))


@pytest.mark.parametrize(
    "wrong", [{}, {"index": []}, {"index": "x", "max_distance": 32}, {"index": "x", "at": 1}]
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        Leaks.model_validate(wrong)


def test_check_reads_the_index(tmp_path):
    tar = write_tar(tmp_path / "0.tar", {"a.jpg": picture()})
    made = build_index([str(tar)], str(tmp_path / "x"), workers=1)
    good = made.output
    Leaks(index=(good,)).check()
    assert Leaks(index=(good,)).sources() == [{"path": good, "sha256": made.sha256, "entries": 1}]
    for other in (str(tar), str(tmp_path / "nothing")):
        with pytest.raises(InputError):
            Leaks(index=(good, other)).check()


def test_check_sees_an_index_that_was_made_anew_at_its_path(tmp_path):
    found = []
    for number in range(2):
        tar = write_tar(tmp_path / f"{number}.tar", {"a.jpg": picture(), "b.jpg": picture(90 + number, 80)})
        made = build_index([str(tar)], str(tmp_path / "x"), workers=1)
        rule = Leaks(index=(made.output,))
        rule.check()
        found.append(rule.groups()[1].settings()["index"])
        assert found[-1] == [made.sha256]
    assert found[0] != found[1]
