"""Membership against Python's own set."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters.deny_lists import as_rows, digest_set

# Few first bytes, so that many digests share the first 8.
HARD = st.lists(
    st.tuples(st.sampled_from([b"\0" * 8, b"\xff" * 8, b"\0" * 7 + b"\1"]), st.integers(0, 3)), max_size=20
)


@pytest.mark.parametrize("width", [16, 32])
@given(HARD, HARD)
def test_hard_digests_against_a_set(width, entries, asked):
    def digests(parts):
        return [head + number.to_bytes(width - 8, "big") for head, number in parts]

    held, questions = digests(entries), digests(asked)
    found = digest_set(b"".join(held), width)
    assert len(found.rows) == len(set(held))
    assert found.contains(as_rows(questions, width)).tolist() == [digest in set(held) for digest in questions]


def test_many_digests_against_a_set():
    generator = random.Random(0)
    held = [generator.randbytes(32) for _ in range(20_000)]
    asked = (
        held[::7]
        + [generator.randbytes(32) for _ in range(5000)]
        + [digest[:31] + b"\0" for digest in held[:99]]
    )
    known = set(held)
    answer = digest_set(b"".join(held), 32).contains(as_rows(asked, 32))
    assert answer.tolist() == [digest in known for digest in asked]
    assert answer.dtype == np.bool_


def test_nothing_is_in_an_empty_set():
    assert not digest_set(b"", 16).contains(as_rows([bytes(16)], 16)).any()
    assert digest_set(bytes(16), 16).contains(as_rows([], 16)).tolist() == []
