import gc

import pytest

from pipelines.common.garbage import RARELY, rare_collections


def collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


def test_the_collector_runs_less_often_and_as_before_afterwards():
    before = gc.get_threshold()
    with rare_collections():
        seen = collections()
        held = [[number] for number in range(RARELY // 2)]
        assert collections() == seen
        with rare_collections():
            assert gc.get_threshold()[0] == RARELY
        assert gc.get_threshold()[0] == RARELY
    assert gc.get_threshold() == before
    held += [[number] for number in range(RARELY // 2)]
    assert collections() > seen


def test_the_threshold_comes_back_after_an_error_and_a_collector_that_is_off_stays_off():
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="no"), rare_collections():
        raise ValueError("no")
    assert gc.get_threshold() == before
    gc.set_threshold(0)
    try:
        with rare_collections():
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
