"""A run whose newest checkpoint is damaged goes on from the one before it, with one warning, to the same end."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from small_runs import sixteen_pairs, small_run

from data_filters.errors import InputError
from pretrain.export.run_folder import find_checkpoint, read_run
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.launch_local import run_local
from pretrain.training.metrics import read_metrics
from pretrain.training.reshard import reshard_run

SCHEDULE = {"checkpoint_every": 4, "keep_checkpoints": 2, "log_every": 1, "log_keys": True}
TINY = {
    "projection_dim": 8,
    "image": {"kind": "vit", "image_size": 16, "patch_size": 8, "width": 8, "depths": [1], "heads": [1]},
    "text": {"width": 8, "layers": 1, "heads": 1, "feed_forward": 8, "max_tokens": 8},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return sixteen_pairs(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def good(data, tmp_path_factory) -> Path:
    """A finished run of 12 steps: checkpoints of the steps 8 and 12."""
    folder = tmp_path_factory.mktemp("good") / "run"
    run_local(small_run(data, folder, SCHEDULE, model=TINY), lambda _: None)
    return folder


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-50])


def empty(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(b"")


def missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def copied(good: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the run, and its newest checkpoint."""
    run = tmp_path / "run"
    shutil.copytree(good, run)
    return run, list_checkpoints(run)[-1]


@pytest.mark.parametrize(
    "damage",
    [
        cut("plain.pt"),
        empty("plain.pt"),
        empty("state.json"),
        missing("model.safetensors"),
        missing("state.json"),
    ],
)
def test_the_run_goes_on_from_the_one_before(data, good, tmp_path, caplog, damage):
    run, newest = copied(good, tmp_path)
    damage(newest)
    (newest.parent / ".step-00000012.partial").mkdir()
    prepared = small_run(data, run, SCHEDULE, model=TINY)
    warnings = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    assert len(warnings) == 1
    assert str(newest) in warnings[0]
    assert "step-00000008" in warnings[0]
    assert newest.is_dir()  # it is replaced only when another is complete
    run_local(prepared, lambda _: None)
    assert [folder.name for folder in sorted((run / "checkpoints").iterdir())] == [
        "step-00000008",
        "step-00000012",
    ]
    for name, value in load_file(newest / "model.safetensors").items():
        assert value.equal(load_file(good / "checkpoints" / newest.name / "model.safetensors")[name]), name
    assert [line["train/loss"] for line in read_metrics(run)] == [
        line["train/loss"] for line in read_metrics(good)
    ]
    keys = "keys/rank-0-of-1.jsonl"
    assert (run / keys).read_text() == (good / keys).read_text()


def test_with_no_whole_checkpoint_the_run_is_refused_and_nothing_is_lost(data, good, tmp_path):
    run, newest = copied(good, tmp_path)
    for folder in list_checkpoints(run):
        empty("state.json")(folder)
    before = sorted(path for path in run.rglob("*"))
    with pytest.raises(InputError) as raised:
        small_run(data, run, SCHEDULE, model=TINY)
    message = str(raised.value)
    assert "step-00000008" in message
    assert str(newest) in message
    assert "\n" not in message
    assert sorted(path for path in run.rglob("*")) == before


def test_damaged_ones_do_not_count_as_kept(data, good, tmp_path):
    run, newest = copied(good, tmp_path)
    cut("plain.pt")(newest)
    longer = {**SCHEDULE, "steps": 12, "checkpoint_every": 1, "keep_checkpoints": 4}
    run_local(small_run(data, run, longer, model=TINY), lambda _: None)
    assert [folder.name[-2:] for folder in list_checkpoints(run)] == ["09", "10", "11", "12"]


def test_export_and_reshard_take_the_one_before(good, tmp_path):
    run, newest = copied(good, tmp_path)
    cut("model.safetensors")(newest)
    assert find_checkpoint(read_run(str(run))).step == 8
    assert reshard_run(str(run), 1).step == 8
    with pytest.raises(InputError, match="is damaged"):
        find_checkpoint(read_run(str(run)), "12")


def test_a_checkpoint_of_an_earlier_version_is_accepted(data, good, tmp_path, caplog):
    run, newest = copied(good, tmp_path)
    state = json.loads((newest / "state.json").read_text())
    del state["files"]
    (newest / "state.json").write_text(json.dumps(state))
    small_run(data, run, SCHEDULE, model=TINY)
    assert not [record for record in caplog.records if "damaged" in record.getMessage()]
