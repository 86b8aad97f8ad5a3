"""An old NAME_stats.json beside a tar does not decide how long an epoch is."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import fsspec
import pytest
from raw_shards import pairs, write_tar
from small_runs import small_recipe

from data_filters.errors import InputError
from pretrain.training.setup import build_reader, prepare_run


@pytest.mark.parametrize("successes", [80, 3, 8], ids=["more", "fewer", "right"])
def test_a_local_epoch_has_the_pairs_of_the_tar(successes, tmp_path, caplog):
    write_tar(tmp_path / "raw" / "00000.tar", pairs(8))
    (tmp_path / "raw" / "00000_stats.json").write_text(json.dumps({"count": 100, "successes": successes}))
    recipe = small_recipe({"steps": None, "epochs": 1}, data={"batch_size": 4})
    assert prepare_run(recipe, str(tmp_path / "raw"), str(tmp_path / "run")).total_steps == 2
    assert (f"holds 8 samples, {tmp_path}/raw/00000_stats.json says {successes}" in caplog.text) == (
        successes != 8
    )


@pytest.mark.parametrize(("held", "said"), [(4, 80), (40, 4)])
def test_a_remote_tar_that_holds_another_number_is_named_when_it_is_read(held, said, tmp_path):
    tar = write_tar(tmp_path / "00000.tar", pairs(held))
    store, folder = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}"
    store.pipe_file(f"{folder}/00000.tar", tar.read_bytes())
    store.pipe_file(f"{folder}/00000_stats.json", json.dumps({"successes": said}).encode())
    data = {"batch_size": 4, "cache_folder": str(Path(tmp_path) / "cache")}
    run = prepare_run(small_recipe({"steps": 30}, data=data), f"memory:/{folder}", str(tmp_path / "run"))
    with pytest.raises(
        InputError, match=f"00000.tar holds {held} samples, .*_stats.json beside it says {said}"
    ):
        list(build_reader(run, 0, 1).batches(0, 30))
