from itertools import count, islice

from pretrain.evaluation.data.iteration import batches, with_progress


def test_batches_are_slices():
    for total in range(8):
        for size in (1, 3, 10):
            items = list(range(total))
            assert list(batches(items, size)) == [items[at : at + size] for at in range(0, total, size)]


def test_no_more_is_read_than_is_asked_for():
    source = count()
    assert list(with_progress(source, None, 3)) == [0, 1, 2]
    assert next(source) == 3
    assert next(batches(source, 2)) == [4, 5]
    assert next(source) == 6


def test_every_item_is_reported_once_it_was_used():
    calls = []
    items = with_progress("abcd", lambda *call: calls.append(call), None)
    assert list(islice(items, 2)) == ["a", "b"]
    assert calls == [(1, None)]  # the second is still in use
    assert list(items) == ["c", "d"]
    assert calls == [(number, None) for number in range(1, 5)]
