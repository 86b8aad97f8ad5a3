"""What `loupe reshard` refuses, and which checkpoints it does not change."""

import pytest
from small_runs import sixteen_pairs, small_run

from data_filters.errors import InputError
from pretrain.training.launch_local import run_local
from pretrain.training.reshard import Resharded, reshard_run
from pretrain.training.setup import write_run_config


@pytest.fixture
def data(tmp_path) -> str:
    return sixteen_pairs(tmp_path / "curated")


def test_a_run_without_a_checkpoint_is_refused(data, tmp_path):
    write_run_config(small_run(data, tmp_path / "run", {}))
    with pytest.raises(InputError, match="has no checkpoint yet"):
        reshard_run(str(tmp_path / "run"), 2)
    with pytest.raises(InputError, match="has no config.json"):
        reshard_run(data, 2)


def test_a_number_that_the_batch_does_not_divide_by_is_refused(data, tmp_path):
    run_local(small_run(data, tmp_path / "run", {"steps": 1}), lambda _: None)
    with pytest.raises(InputError, match="world_size is 3; with data.accumulation 1 it must divide"):
        reshard_run(str(tmp_path / "run"), 3)


def test_a_plain_checkpoint_needs_no_conversion(data, tmp_path):
    run_local(small_run(data, tmp_path / "run", {"steps": 1}), lambda _: None)
    done = reshard_run(str(tmp_path / "run"), 2)
    checkpoint = str(tmp_path / "run" / "checkpoints" / "step-00000001")
    assert done == Resharded(checkpoint, 1, written_by=1, ready_for=2, converted=False)
