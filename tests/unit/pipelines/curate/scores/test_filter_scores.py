"""The group `filters` holds the scores of pairs, by hand."""

import unicodedata

import pyarrow as pa

from data_filters import score_names
from data_filters.facts import Facts
from data_filters.image import ImageHeader
from pipelines.curate.scores.filter_scores import FilterScores

PAIRS = [
    Facts(ImageHeader(400, 200, "png"), "see http://a.example/x.jpg now", image_bytes=9),
    Facts(ImageHeader(30, 40, "jpeg"), "", image_bytes=1),
]


def test_every_score_is_that_of_the_pair_alone():
    names = tuple(score_names())
    group = FilterScores(names)
    table = group.measure(PAIRS)
    assert table.schema == group.schema()
    assert set(table.schema.types) == {pa.float64()}
    assert table.to_pylist() == [
        {
            "shorter_side": 200,
            "aspect_ratio": 2,
            "words": 3,
            "pixels": 80_000,
            "encoded_bytes": 9,
            "characters": 30,
            "letter_share": 1 - 6 / 28,  # all but six marks and two spaces are letters
            "repetition": 0,
            "urls": 1,
            "file_names": 1,
        },
        {
            "shorter_side": 30,
            "aspect_ratio": 4 / 3,
            "words": 0,
            "pixels": 1200,
            "encoded_bytes": 1,
            "characters": 0,
            "letter_share": 0,
            "repetition": 0,
            "urls": 0,
            "file_names": 0,
        },
    ]


def test_only_the_chosen_ones_are_computed_and_the_choice_is_a_setting():
    group = FilterScores(("words", "shorter_side"))
    assert group.measure(PAIRS).to_pydict() == {"words": [3.0, 0.0], "shorter_side": [200.0, 30.0]}
    assert group.settings() == {
        "scores": ["words", "shorter_side"],
        "unicode": unicodedata.unidata_version,
    }
    assert group.settings() != FilterScores(("words",)).settings()
