"""A model sees calls of one size, halved where memory does not suffice."""

import pytest
import torch

from pipelines.curate.look.fixed_calls import ROWS_ON_CPU, FixedCalls, inference


def test_calls_have_one_size_and_rows_come_back_in_their_order():
    sizes = []

    def compute(chunk):
        sizes.append(len(chunk["x"]))
        assert not torch.is_grad_enabled()
        return chunk["x"].sum(1) + chunk["y"]

    x, y = torch.arange(38.0).reshape(19, 2), torch.arange(19.0)
    found = FixedCalls(torch.device("cpu"))(compute, {"x": x, "y": y})
    assert torch.equal(found, x.sum(1) + y)
    assert sizes == [ROWS_ON_CPU] * 3


def test_calls_are_halved_for_good_and_one_row_too_many_is_an_error():
    sizes = []

    def compute(chunk, most=3):
        sizes.append(len(chunk["x"]))
        if sizes[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return chunk["x"] * 2

    calls = FixedCalls(torch.device("cpu"))
    x = torch.arange(5.0)
    assert torch.equal(calls(compute, {"x": x}), x * 2)
    assert sizes == [8, 4, 2, 2, 2]
    with pytest.raises(torch.OutOfMemoryError):
        calls(lambda chunk: compute(chunk, most=0), {"x": x})


def test_memory_of_the_machine_that_does_not_suffice_halves_too():
    sizes = []

    def compute(chunk):
        sizes.append(len(chunk["x"]))
        if sizes[-1] > 4:
            torch.empty(1 << 50)  # more than any machine has; torch raises a plain RuntimeError
        return chunk["x"]

    x = torch.arange(8.0)
    assert torch.equal(FixedCalls(torch.device("cpu"))(compute, {"x": x}), x)
    assert sizes == [8, 4, 4]


def test_another_error_is_raised_at_once():
    def compute(chunk):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        FixedCalls(torch.device("cpu"))(compute, {"x": torch.arange(8.0)})


def test_threads_are_set_back():
    before = torch.get_num_threads()
    with inference():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_what_stays_is_passed_on_to_another_call():
    calls, x = FixedCalls(torch.device("cpu")), torch.arange(19.0)
    doubled = calls(lambda chunk: 2 * chunk["x"], {"x": x}, stays=True)
    assert torch.equal(calls(lambda chunk: chunk["y"] + 1, {"y": doubled}), 2 * x + 1)
