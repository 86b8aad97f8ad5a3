"""What is wrong with a checkpoint is noticed: cut, empty, changed and missing files, with a list and without."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pretrain.training.checkpoint_files import fault_of, list_files

STATE = {"step": 5, "ranks": 1, "config_hash": "abc", "bad_samples": 0}


def checkpoint(folder: Path, listed: bool = True) -> Path:
    (folder / "engine").mkdir(parents=True)
    save_file({"weight": torch.arange(8.0)}, folder / "model.safetensors")
    torch.save({"moment": torch.arange(8.0)}, folder / "engine" / "shard_0.pt")
    files = {"files": list_files(folder)} if listed else {}
    (folder / "state.json").write_text(json.dumps(STATE | files))
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("listed", [True, False])
def test_a_whole_checkpoint_has_no_fault(tmp_path, listed):
    folder = checkpoint(tmp_path / "whole", listed)
    (folder / "universal").mkdir()
    (folder / "universal" / "converted.pt").write_bytes(b"written later")
    assert fault_of(folder) is None


@pytest.mark.parametrize("name", ["model.safetensors", "engine/shard_0.pt"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [(cut, "bytes"), (empty, "has 0 bytes"), (flip, "has changed"), (Path.unlink, "is missing")],
)
def test_a_listed_file_that_differs_is_named(tmp_path, name, damage, said):
    folder = checkpoint(tmp_path / "damaged")
    damage(folder / name)
    fault = fault_of(folder)
    assert fault
    assert fault.startswith(name)
    assert said in fault


@pytest.mark.parametrize("name", ["model.safetensors", "engine/shard_0.pt"])
@pytest.mark.parametrize("damage", [cut, empty, Path.unlink])
def test_without_a_list_a_file_that_cannot_be_opened_is_named(tmp_path, name, damage):
    folder = checkpoint(tmp_path / "old", listed=False)
    damage(folder / name)
    fault = fault_of(folder)
    assert fault
    assert name in fault or "the engine's state is missing" in fault


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"step": 5}', '{"step": {}, "ranks": 1}'])
def test_a_state_that_is_no_state_is_a_fault(tmp_path, text):
    folder = checkpoint(tmp_path / "damaged")
    (folder / "state.json").write_text(text)
    assert fault_of(folder) == "state.json cannot be read"


@pytest.mark.parametrize("files", ["[]", '{"model.safetensors": 3}', '{"plain.pt": [1, "ab"]}', "7"])
def test_a_list_that_is_no_list_is_a_fault(tmp_path, files):
    folder = checkpoint(tmp_path / "damaged")
    (folder / "state.json").write_text(json.dumps(STATE)[:-1] + f', "files": {files}}}')
    assert fault_of(folder)


def test_for_the_weights_alone_the_engines_state_may_be_absent(tmp_path):
    folder = checkpoint(tmp_path / "pruned")
    (folder / "engine" / "shard_0.pt").unlink()
    assert fault_of(folder, only_weights=True) is None
    flip(folder / "model.safetensors")
    assert fault_of(folder, only_weights=True) == "model.safetensors has changed since it was written"


@pytest.mark.parametrize("text", ["{}", '{"files": null}', '{"ranks": 1}', "[]", "null"])
def test_a_state_without_a_step_is_no_checkpoints(tmp_path, text):
    folder = checkpoint(tmp_path / "damaged")
    (folder / "state.json").write_text(text)
    for only_weights in (False, True):
        assert fault_of(folder, only_weights=only_weights) == "state.json cannot be read"
