import json

import pytest
import torch

from data_filters.errors import InputError
from pretrain.export.folder import Source, Written, export_folder
from pretrain.export.model_card import HUGGINGFACE


def write(source: Source, folder, final):
    (folder / "weights.txt").write_text(str(sorted(source.region_weights)))
    return Written(0.25, region_head=True)


@pytest.mark.parametrize("run_and_encoder", ["swin"], indirect=True)
def test_a_folder_is_written_whole_with_its_record_and_card(run_and_encoder, tmp_path):
    run, encoder = run_and_encoder
    output = tmp_path / "export"
    for _ in range(2):  # an earlier export of the same run is replaced
        summary = export_folder("huggingface", HUGGINGFACE, write, str(run), str(output), None)
    assert (summary.step, summary.max_difference, summary.region_head) == (10, 0.25, True)
    assert summary.parameters == sum(parameter.numel() for parameter in encoder.parameters())
    assert summary.left_out == {"unsil": 21}  # the region head is exported, UNSIL is not
    assert {path.name for path in output.iterdir()} == {"weights.txt", "export.json", "README.md"}
    assert (output / "weights.txt").read_text() == "['head.weight']"
    record = json.loads((output / "export.json").read_text())
    assert (record["run"], record["format"], record["config"]["name"]) == (
        "tiny-swin-0",
        "huggingface",
        "tiny-swin",
    )
    assert {path.name for path in tmp_path.iterdir()} == {"run", "export"}


@pytest.mark.parametrize("run_and_encoder", ["swin"], indirect=True)
def test_what_is_not_ours_stays_and_a_failure_leaves_nothing(run_and_encoder, tmp_path):
    run, _ = run_and_encoder
    output = tmp_path / "export"

    def fail(source, folder, final):
        (folder / "half").write_text("x")
        raise RuntimeError("differs")

    with pytest.raises(RuntimeError, match="differs"):
        export_folder("huggingface", HUGGINGFACE, fail, str(run), str(output), None)
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    output.mkdir()
    (output / "thesis").write_text("x")
    with pytest.raises(InputError, match="is there and is no export of this run"):
        export_folder("huggingface", HUGGINGFACE, write, str(run), str(output), None)
    (output / "export.json").write_text(json.dumps({"name": "other", "run": "abc"}))
    with pytest.raises(InputError, match="holds an export of run 'other'"):
        export_folder("huggingface", HUGGINGFACE, write, str(run), str(output), None)
    (output / "export.json").write_text(json.dumps({"name": "x", "run": "tiny-swin-0", "format": "onnx"}))
    with pytest.raises(InputError, match="in the format onnx, not huggingface"):
        export_folder("huggingface", HUGGINGFACE, write, str(run), str(output), None)
    assert (output / "thesis").read_text() == "x"


def test_region_weights_lose_their_prefix():
    heads = {"region_generator.out.weight": torch.ones(1, dtype=torch.float16), "unsil.x": torch.zeros(1)}
    weights = Source(None, None, heads).region_weights
    assert list(weights) == ["out.weight"]
    assert weights["out.weight"].dtype == torch.float32
