"""Interactions into labels: hand-computed cases, ranges, and what each choice is blind to."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_filters.errors import InputError
from pretrain.shapley.normalise import ROW_DISTRIBUTIONS, SOFT_LABELS, row_distributions, soft_labels

MASK = torch.tensor([[True, True, True, True, False]])
TARGETS = torch.tensor([[-1.0, 3.0, 1.0, 0.0, 99.0]])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("minmax", [0.0, 1.0, 0.5, 0.25, 0.0]),
        ("positive", [0.0, 1.0, 1 / 3, 0.0, 0.0]),
        ("rank", [0.0, 1.0, 2 / 3, 1 / 3, 0.0]),
    ],
)
def test_soft_labels_by_hand(how, expected):
    torch.testing.assert_close(soft_labels(TARGETS, MASK, how), torch.tensor([expected]))


def test_logistic_labels_keep_order_and_centre():
    labels = soft_labels(TARGETS, MASK, "logistic")[0]
    # Mean 0.75, standard deviation 1.479: the first is 1.183 deviations below.
    assert labels[0].item() == pytest.approx(1 / (1 + 2.7182818 ** (1.75 / 1.4790199)), abs=1e-5)
    assert labels[:4].argsort().tolist() == TARGETS[0, :4].argsort().tolist()


@pytest.mark.parametrize("how", SOFT_LABELS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_labels_lie_between_zero_and_one(how, data):
    rows = data.draw(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4), min_size=1, max_size=3))
    mask = torch.tensor([[data.draw(st.booleans()) for _ in range(4)] for _ in rows])
    targets = torch.tensor(rows, dtype=torch.float64)
    labels = soft_labels(targets, mask, how)
    assert ((labels >= 0) & (labels <= 1)).all()
    assert (labels[~mask] == 0).all()
    for row, label, real in zip(targets, labels, mask, strict=True):
        order = row[real].argsort()
        assert (label[real][order].diff() >= -1e-9).all()


@pytest.mark.parametrize("how", ["minmax", "logistic", "rank"])
def test_labels_are_blind_to_shift_and_scale(how):
    torch.testing.assert_close(
        soft_labels(TARGETS * 1e-4 - 7, MASK, how), soft_labels(TARGETS, MASK, how), atol=2e-2, rtol=0
    )
    double = TARGETS.double()
    torch.testing.assert_close(soft_labels(double * 1e-4 - 7, MASK, how), soft_labels(double, MASK, how))


@pytest.mark.parametrize("how", SOFT_LABELS)
def test_equal_regions_get_equal_labels(how):
    labels = soft_labels(torch.full((1, 5), 2.0), MASK, how)[0, :4]
    assert labels.unique().numel() == 1


@pytest.mark.parametrize(
    ("how", "expected"),
    [("positive", [0.0, 0.75, 0.25, 0.0]), ("shifted", [0.0, 4 / 7, 2 / 7, 1 / 7])],
)
def test_rows_by_hand(how, expected):
    rows = torch.tensor([[[-1.0, 3.0, 1.0, 0.0, 50.0]]])
    shares = row_distributions(rows, torch.ones(1, 1).bool(), MASK, how)
    torch.testing.assert_close(shares, torch.tensor([[[*expected, 0.0]]]))


@pytest.mark.parametrize("how", ROW_DISTRIBUTIONS)
@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_rows_sum_to_one_whatever_the_unit(how, scale):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, 6, 5, generator=generator, dtype=torch.float64)
    region_mask, phrase_mask = torch.rand(4, 6) > 0.2, torch.rand(4, 5, generator=generator) > 0.3
    phrase_mask[:, 0] = True
    phrase_mask[3] = False
    shares = row_distributions(rows * scale, region_mask, phrase_mask, how)
    assert (shares >= 0).all()
    assert (shares[~(region_mask[:, :, None] & phrase_mask[:, None])] == 0).all()
    torch.testing.assert_close(shares[:3].sum(-1), region_mask[:3].double())
    assert (shares[3] == 0).all()
    if how != "softmax" or scale == 1.0:
        torch.testing.assert_close(shares, row_distributions(rows, region_mask, phrase_mask, how))


@pytest.mark.parametrize("how", ROW_DISTRIBUTIONS)
def test_rows_without_anything_to_say_are_uniform(how):
    rows = torch.zeros(1, 1, 5)
    expected = torch.tensor([[[0.25, 0.25, 0.25, 0.25, 0.0]]])
    torch.testing.assert_close(row_distributions(rows, torch.ones(1, 1).bool(), MASK, how), expected)


def test_softmax_by_hand_and_its_temperature():
    rows = torch.tensor([[[0.0, 2.0]]])  # standard deviation 1
    everything = torch.ones(1, 1).bool(), torch.ones(1, 2).bool()
    shares = row_distributions(rows, *everything, "softmax", temperature=2.0)
    assert shares[0, 0, 1].item() == pytest.approx(1 / (1 + 2.7182818**-1.0), abs=1e-6)
    with pytest.raises(InputError, match="temperature is 0"):
        row_distributions(rows, *everything, "softmax", temperature=0.0)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(InputError, match="'minmax', 'positive', 'logistic', 'rank'"):
        soft_labels(TARGETS, MASK, "max")
    with pytest.raises(InputError, match="'positive', 'shifted', 'softmax'"):
        row_distributions(TARGETS[None], torch.ones(1, 1).bool(), MASK, "none")
