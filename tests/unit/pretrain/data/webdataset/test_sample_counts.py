"""Counts that files beside remote tars name are compared with the tars once they are read."""

import pytest

from data_filters.errors import InputError
from pretrain.data.webdataset.sample_counts import SampleCounts


def test_few_wrong_samples_are_logged_once_for_each_tar(caplog):
    counts = SampleCounts(0.01)
    for _ in range(3):
        counts.compare("s3://a/0.tar", 1000, 1000)
        counts.compare("s3://a/1.tar", 1000, 995)
        counts.compare("s3://a/2.tar", 1000, 1005)
    assert [record.getMessage() for record in caplog.records] == [
        "s3://a/1.tar holds 995 samples, s3://a/1_stats.json beside it says 1000",
        "s3://a/2.tar holds 1005 samples, s3://a/2_stats.json beside it says 1000",
    ]


@pytest.mark.parametrize(("said", "held"), [(80, 8), (8, 80)])
def test_many_wrong_samples_end_the_run_with_both_numbers(said, held):
    with pytest.raises(InputError, match=f"0.tar holds {held} samples, .*0_stats.json beside it says {said}"):
        SampleCounts(0.01).compare("s3://a/0.tar", said, held)
