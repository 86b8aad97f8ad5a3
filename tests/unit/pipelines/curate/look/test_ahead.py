"""Batches come in their order, decoded; one is decoded while the one before is worked on."""

import threading

import numpy as np
import pytest
from pictures import look_pictures

from pipelines.curate.look.ahead import decode_for, decoded_ahead


def test_the_next_batch_is_decoded_while_this_one_is_worked_on():
    pictures = look_pictures(6)
    batches = [(np.arange(at, at + 2), pictures[at : at + 2]) for at in (0, 2, 4)]
    second = threading.Event()

    def decode(batch):
        if batch is batches[1]:
            second.set()

    found = []
    for batch in decoded_ahead(iter(batches), decode):
        if not found:
            assert second.wait(10)  # before the second is asked for
        found.append(batch)
    assert [one is other for one, other in zip(found, batches, strict=True)] == [True] * 3
    assert list(decoded_ahead(iter([]), decode)) == []


def test_rows_are_decoded_at_the_size_they_need():
    pictures = look_pictures(4)
    decode_for({32: np.array([10, 12]), 0: np.array([13])})((np.arange(10, 14), pictures))
    assert [sorted(picture._decoded) for picture in pictures] == [[32], [], [32], [0]]


def test_an_error_comes_with_its_batch():
    def decode(batch):
        if batch == 2:
            raise MemoryError("too large")

    batches = decoded_ahead(iter([1, 2, 3]), decode)
    assert next(batches) == 1
    with pytest.raises(MemoryError, match="too large"):
        next(batches)
