"""Items made by threads: the same ones, in the same order, with the same errors."""

import threading
import time

import pytest

from pretrain.data.background_threads import in_background, mapped_groups


def wait_until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("the condition did not become true within 5 seconds")


def test_gives_the_same_items():
    items = [None, 0, "a", StopIteration(), *range(50)]
    assert list(in_background(iter(items), 3)) == items


def test_makes_items_ahead_but_no_more_than_the_depth():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    stream = in_background(items(), 4)
    assert next(stream) == 0
    wait_until(lambda: len(made) == 6)  # one taken, four ready, one waiting for a place
    time.sleep(0.05)
    assert len(made) == 6
    stream.close()


def test_an_error_comes_at_its_place():
    def items():
        yield 1
        yield 2
        raise KeyError("third")

    stream = in_background(items(), 8)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(stream)


def test_closing_ends_the_thread_and_closes_the_items():
    closed = threading.Event()

    def items():
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    stream = in_background(items(), 2, name="test-background")
    next(stream)
    stream.close()
    assert closed.wait(5)
    assert all(thread.name != "test-background" for thread in threading.enumerate()), "closing waits for it"


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("sizes", [[], [0], [1, 3, 0, 17, 40]])
def test_groups_are_mapped_in_order(threads, sizes):
    groups = [[100 * group + number for number in range(size)] for group, size in enumerate(sizes)]
    assert list(mapped_groups(lambda item: item**2, groups, threads)) == [
        [item**2 for item in group] for group in groups
    ]


def test_several_threads_work_at_once():
    """Four items that wait for each other are only done when four threads run them."""
    barrier = threading.Barrier(4, timeout=5)
    groups = mapped_groups(lambda item: barrier.wait() >= 0, [[1, 2, 3, 4]], 4)
    assert next(groups) == [True] * 4


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_of_the_function_is_raised(threads):
    groups = mapped_groups(lambda item: 1 // item, [[1, 2], [1, 0]], threads)
    assert next(groups) == [1, 0]
    with pytest.raises(ZeroDivisionError):
        next(groups)


def test_closing_stops_reading_groups():
    read = []

    def groups():
        for number in range(100):
            read.append(number)
            yield [number]

    stream = mapped_groups(str, groups(), 2)
    assert next(stream) == ["0"]
    stream.close()
    assert len(read) <= 3
