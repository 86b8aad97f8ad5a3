"""The sentence about large buckets agrees with their number."""

import pytest

from pipelines.curate.corpus.near.buckets import BEYOND, OVERSIZED
from pipelines.curate.corpus.near.oversized import oversized_notes


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, []),
        ({OVERSIZED: 0, BEYOND: 0}, []),
        (
            {OVERSIZED: 1, BEYOND: 7},
            ["1 bucket of more than 1,000 captions was compared with its earliest 1,000 only"],
        ),
        (
            {OVERSIZED: 3000, BEYOND: 9999},
            ["3,000 buckets of more than 1,000 captions were compared with their earliest 1,000 only"],
        ),
    ],
)
def test_sentences(counts, expected):
    assert oversized_notes(counts, 1000, "captions") == expected
