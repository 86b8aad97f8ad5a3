"""ONNX files in onnxruntime at sizes the export did not see, and in the hands of a stranger without torch."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from PIL import Image
from training_pixels import training_pixels

from data_filters.errors import InputError
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export import onnx as exporting
from pretrain.export.onnx_graph import Graph, compare_graph, write_graph
from pretrain.export.parity import probe
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator

_here = importlib.util.spec_from_file_location("tiny_runs", Path(__file__).with_name("conftest.py"))
tiny_runs = importlib.util.module_from_spec(_here)
_here.loader.exec_module(tiny_runs)

# Runs the code of the model card where neither torch, transformers nor this project can be imported.
STRANGER = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "pretrain", "data_filters", "pipelines", "cluster"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from PIL import Image
folder, image = sys.argv[1], Image.open(sys.argv[2])
exec(sys.argv[3])
numpy.savez(sys.argv[4], image=image_embeds, text=text_embeds, logits=logits)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run with a region generator, its encoder and generator, and the folder it was exported to."""
    folder = tmp_path_factory.mktemp("onnx")
    (folder / "run").mkdir()
    torch.manual_seed(0)
    generator = RegionGenerator(24, (4, 4), 5, width=16).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    heads = {f"region_generator.{name}": tensor for name, tensor in generator.state_dict().items()}
    config = tiny_runs.tiny_config()
    encoder = tiny_runs.write_checkpoint(folder / "run", config, 10, heads | {"unsil.w": torch.zeros(3)})
    summary = exporting.export_run(str(folder / "run"), str(folder / "export"))
    return encoder, generator, folder / "export", summary


def run(file: Path, **inputs: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(value) for value in InferenceSession(file).run(None, inputs)]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_both_towers_give_the_runs_embeddings_at_any_size(exported, batch):
    encoder, _, folder, summary = exported
    assert summary.max_difference <= 1e-5
    random = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, 3, 32, 32, generator=random)
    for ours, theirs in zip(
        _image(encoder, images), run(folder / "image.onnx", pixel_values=images.numpy()), strict=True
    ):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= 1e-5
        assert torch.allclose(theirs.norm(dim=-1), torch.ones(()), atol=1e-5)
    for length in (3, 20, 64):
        ids = torch.randint(1, 8000, (batch, length), generator=random)
        mask = (torch.arange(length) < torch.randint(2, length + 1, (batch, 1), generator=random)).long()
        with torch.no_grad():
            ours = encoder.encode_text(ids, mask)
        theirs = run(folder / "text.onnx", input_ids=ids.numpy(), attention_mask=mask.numpy())
        real = mask.bool()
        assert (ours[0] - theirs[0]).abs().max() <= 1e-5
        assert (ours[1][real] - theirs[1][real]).abs().max() <= 1e-5


def test_regions_are_the_region_generators(exported):
    encoder, generator, folder, summary = exported
    assert summary.region_head
    assert summary.left_out == {"unsil": 3}
    patches = _image(encoder, torch.randn(3, 3, 32, 32))[1]
    with torch.no_grad():
        boxes, logits = generator.every_cell(patches)
    theirs = run(folder / "regions.onnx", patch_embeds=patches.numpy())
    assert (boxes - theirs[0]).abs().max() <= 1e-5
    assert (logits - theirs[1]).abs().max() <= 1e-5


def test_the_cards_code_needs_neither_torch_nor_this_project(exported, tmp_path):
    encoder, _, folder, _ = exported
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(picture)
    card = (folder / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    child = subprocess.run(
        [sys.executable, "-c", STRANGER, str(folder), str(picture), code, str(tmp_path / "out.npz")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert child.returncode == 0, child.stderr
    theirs = np.load(tmp_path / "out.npz")
    image = training_pixels(Image.open(picture), 32)
    texts = load_tokenizer("loupe")(["a red umbrella", "a blue dog"], padding=True, return_tensors="pt")
    own_image = _image(encoder, torch.from_numpy(image)[None])[0]
    with torch.no_grad():
        own_text = encoder.encode_text(texts["input_ids"], texts["attention_mask"])[0]
    np.testing.assert_allclose(theirs["image"], own_image, atol=1e-5)
    np.testing.assert_allclose(theirs["text"], own_text, atol=1e-5)
    scale = float(encoder.logit_scale.detach().exp())
    np.testing.assert_allclose(theirs["logits"], scale * own_image @ own_text.T, rtol=1e-4, atol=1e-4)


def test_every_file_says_what_it_is(exported):
    encoder, _, folder, _ = exported
    about = json.loads((folder / "onnx.json").read_text())
    assert about["temperature"] == pytest.approx(float((-encoder.logit_scale.detach()).exp()))
    assert about["text"] == {"max_tokens": 20, "padding_id": 0}
    assert set(about["graphs"]) == {"image.onnx", "text.onnx", "regions.onnx"}
    for name, graph in about["graphs"].items():
        model = onnx.load(folder / name)
        onnx.checker.check_model(model)
        assert [(one.domain, one.version) for one in model.opset_import if not one.domain] == [("", 18)]
        assert [one.name for one in model.graph.input] == graph["inputs"]
        assert [one.name for one in model.graph.output] == graph["outputs"]
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert json.loads((folder / "export.json").read_text())["format"] == "onnx"
    assert "library_name: onnx" in (folder / "README.md").read_text()


def test_a_vit_is_written_too(tmp_path):
    config = tiny_runs.tiny_config("vit")
    encoder = DualEncoder(config.model, 8000).eval()
    graph = Graph(
        "image.onnx",
        exporting.ImageTower(encoder),
        {"pixel_values": {0: "batch"}},
        ("image_embeds", "patch_embeds"),
        lambda batch: probe(encoder, images=batch)[:1],
    )
    write_graph(graph, tmp_path, [encoder.vision_model])
    assert compare_graph(graph, tmp_path, (1, 3)) <= 1e-5
    assert encoder.vision_model.config._attn_implementation == "sdpa"
    with torch.no_grad():
        encoder.visual_projection.weight[0] += 0.1
    assert compare_graph(graph, tmp_path, (1,)) > 1e-5


def test_what_cannot_be_written_is_one_line(run_and_encoder, tmp_path, monkeypatch):
    run, _ = run_and_encoder  # its region generator is none of ours
    with pytest.raises(InputError, match="region generator is not one that this version knows") as raised:
        exporting.export_run(str(run), str(tmp_path / "export"))
    assert "\n" not in str(raised.value)
    monkeypatch.setattr(exporting, "NEEDS", ("onnx", "no_such_package"))
    with pytest.raises(InputError, match="needs no_such_package; install them with: pip install"):
        exporting.export_run(str(run), str(tmp_path / "export"))
    assert not (tmp_path / "export").exists()


def _image(encoder: DualEncoder, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        return encoder.encode_image(images)
