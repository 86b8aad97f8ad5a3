import pytest

from pipelines.common.html.numbers import nice_ticks, short, tick_labels


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 4, [0, 1, 2, 3, 4]), (0, 0.9, [0, 0.5, 1]), (3.25, 3.5, [3.2, 3.3, 3.4, 3.5]), (2, 2, [2])],
)
def test_ticks_are_round_numbers_that_span_the_values(low, high, expected):
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_numbers_are_short():
    assert [short(v) for v in (0, 12345.6, 123.4, 4.8512, 0.00012)] == [
        "0",
        "12,346",
        "123",
        "4.85",
        "1.2e-4",
    ]


def test_ticks_are_written_with_the_digits_that_tell_them_apart():
    assert tick_labels([0.998, 0.9985, 0.999]) == ["0.9980", "0.9985", "0.9990"]
    assert tick_labels([3.4, 3.6, 3.8]) == ["3.4", "3.6", "3.8"]
    assert tick_labels([3.46, 3.47, 3.48]) == ["3.46", "3.47", "3.48"]
    assert tick_labels([0, 50, 100]) == ["0", "50", "100"]
    assert tick_labels([2]) == ["2"]
