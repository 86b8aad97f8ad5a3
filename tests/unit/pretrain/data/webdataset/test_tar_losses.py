"""What damaged tars have cost is counted in samples."""

import pytest

from data_filters.errors import InputError
from pretrain.data.samples.preparation import BadSamples
from pretrain.data.webdataset.tar_losses import TarLosses


def test_the_difference_between_plan_and_tar_is_lost_and_at_least_one_sample(caplog):
    bad = BadSamples(1.0)
    losses = TarLosses(bad, {"a": 100, "b": 50, "c": 7})
    for uri in "abc":
        losses.reading = uri
        assert losses.note(OSError("damaged")) is True
        assert losses.note(OSError("damaged again")) is True
    losses.settle_without_samples(but="b")
    assert (bad.count, bad.seen) == (107, 107)
    assert losses.is_damaged("b")
    losses.settle("b", 50)
    losses.settle("b", 50)
    assert (bad.count, losses.is_damaged("b")) == (108, False)
    assert "100 of 100 samples of a replaced: OSError: damaged\n" in caplog.text


def test_too_large_a_loss_ends_the_run():
    losses = TarLosses(BadSamples(0.01), {"a": 100})
    losses.reading = "a"
    losses.note(OSError("damaged"))
    with pytest.raises(
        InputError, match=r"80 of 80 samples cannot be read, the last 80 of 100 samples of a: dam"
    ):
        losses.settle("a", 20)
