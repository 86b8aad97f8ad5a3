"""Both readers satisfy the contract that the training loop relies on."""

import inspect
import tarfile
from io import BytesIO

import pytest

from pretrain.data.batch_reader import BatchReader, StepPlan
from pretrain.data.datasets import open_data, open_reader
from pretrain.data.shards.reader import Reader
from pretrain.data.webdataset.reader import StreamReader
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


@pytest.fixture(params=[Reader, StreamReader])
def reader(request, committed, pair, tmp_path) -> BatchReader:
    """A reader of 20 pairs, from committed shards or from a plain tar."""
    pairs = [pair(number) for number in range(20)]
    if request.param is Reader:
        uri = committed([pairs])
    else:
        uri = str(tmp_path)
        with tarfile.open(tmp_path / "0.tar", "w") as tar:
            for key, members in pairs:
                for extension, data in members.items():
                    entry = tarfile.TarInfo(f"{key}.{extension}")
                    entry.size = len(data)
                    tar.addfile(entry, BytesIO(data))
    config = DualEncoderConfig.model_validate(
        {"model": {"image": {"image_size": 32}}, "data": {"batch_size": 8, "accumulation": 2}}
    )
    opened = open_reader(config, open_data(config, uri), 0, 1)
    assert isinstance(opened, request.param)
    return opened


def test_every_member_of_the_contract_is_there(reader):
    plan_members = {name for name in vars(StepPlan) if not name.startswith("_")}
    assert {name for name in vars(BatchReader) if not name.startswith("_")} == {"plan", "bad", "batches"}
    assert plan_members == {"steps_per_epoch"}
    assert list(inspect.signature(reader.batches).parameters) == ["first_step", "last_step"]
    assert reader.plan.steps_per_epoch == 2  # 20 pairs, 8 a step
    assert reader.bad == 0


def test_batches_are_micro_batches_of_the_steps_asked_for(reader):
    steps = list(reader.batches(1, 4))
    assert [[len(batch) for batch in step] for step in steps] == [[4, 4]] * 3
