import json

import pytest
import torch
from safetensors.torch import save_file

from data_filters.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.export.run_folder import find_checkpoint, load_weights, open_run, read_run, restore_encoder
from pretrain.tasks import TASKS
from pretrain.tasks.dual_encoder import DualEncoderTask


class CaptionLengthConfig(PretrainConfig):
    @property
    def image_size(self) -> int:
        return 16

    @property
    def max_tokens(self) -> int:
        return 12


class CaptionLength(DualEncoderTask):
    config_class = CaptionLengthConfig


def test_a_run_of_another_task_is_read_and_only_its_export_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "caption_length", CaptionLength)
    document = {"config": {"task": "caption_length", "seed": 3}, "config_hash": "abc", "data": "s3://pairs"}
    (tmp_path / "config.json").write_text(json.dumps(document))
    run = read_run(str(tmp_path))
    assert (type(run.config), run.config.seed) == (CaptionLengthConfig, 3)
    assert (run.identity, run.data) == ("abc", {"uri": "s3://pairs", "shards": []})
    with pytest.raises(InputError) as raised:
        open_run(str(tmp_path))
    assert str(raised.value) == (
        f"run {str(tmp_path)!r} is of task caption_length, which has no dual encoder; "
        "export takes runs of dual_encoder; give such a run"
    )


def test_an_unknown_task_is_answered_with_the_known_ones(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"config": {"task": "chess"}, "config_hash": "abc"}))
    with pytest.raises(InputError, match="^task is 'chess'; allowed are dual_encoder"):
        read_run(str(tmp_path))


@pytest.mark.parametrize("run_and_encoder", ["swin"], indirect=True)
def test_a_run_is_read_as_it_was_written(run_and_encoder):
    run, encoder = run_and_encoder
    opened = open_run(str(run))
    assert (opened.config.name, opened.identity) == ("tiny-swin", "tiny-swin-0")
    assert opened.data["uri"] == "s3://pairs"
    newest = find_checkpoint(opened)
    assert newest.step == 10
    assert find_checkpoint(opened, "step-00000005").step == find_checkpoint(opened, "5").step == 5
    with pytest.raises(InputError, match="has step-00000005, step-00000010; name one of them"):
        find_checkpoint(opened, "7")
    restored = restore_encoder(opened, load_weights(newest))
    assert not restored.training
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(restored.state_dict()[name], tensor)


@pytest.mark.parametrize("run_and_encoder", ["swin"], indirect=True)
def test_what_is_broken_is_one_clear_line(run_and_encoder, tmp_path):
    run, _ = run_and_encoder
    opened = open_run(str(run))
    newest = find_checkpoint(opened)
    save_file({"dual_encoder.x": torch.zeros(1)}, newest.folder / "model.safetensors")
    with pytest.raises(InputError, match="the checkpoint does not fit config.json"):
        restore_encoder(opened, load_weights(newest))
    (newest.folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(newest)
    (newest.folder / "state.json").unlink()  # never finished
    assert find_checkpoint(opened).step == 5
    (run / "config.json").write_text(json.dumps({"config": {"seed": -1}, "config_hash": "x"}))
    with pytest.raises(InputError, match=r"is not understood \(seed: "):
        open_run(str(run))
    with pytest.raises(InputError, match=r"has no config\.json"):
        open_run(str(tmp_path / "none"))
