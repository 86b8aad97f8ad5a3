"""Exports a trained run as ONNX: `image.onnx`, `text.onnx`, and `regions.onnx` where the run has a region generator.

- image: pixel_values [B, 3, S, S] → image_embeds [B, D], patch_embeds [B, C, D], unit length;
- text: input_ids, attention_mask [B, L] int64 → text_embeds [B, D], word_embeds [B, L, D], unit length;
- regions: patch_embeds [B, C, D] → boxes [B, C, 4] (centre x, centre y, width, height; fractions of the image) and
  confidence_logits [B, C], of every cell, before any selection.

B and L are free, S is the run's image size. `onnx.json` says how the files go together. Everything is fp32, opset 18.
Each file is run by onnxruntime and compared with the run before the folder is put in place.

Needs onnx, onnxscript and onnxruntime: the extra `onnx`.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from data_filters.errors import InputError
from pipelines.common.files import write_json
from pretrain.export.folder import (
    ExportSummary,
    Source,
    Written,
    export_folder,
    max_tokens,
    save_tokenizer,
)
from pretrain.export.hugging_face import save_image_processor
from pretrain.export.model_card import CardTexts
from pretrain.export.onnx_graph import OPSET, Graph, compare_graph, write_graph
from pretrain.export.parity import accept, probe
from pretrain.export.region_head import build_region_head
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator

NEEDS = ("onnx", "onnxscript", "onnxruntime")
BATCHES = (1, 3, 8)
"""Batch sizes at which every graph is compared with the run."""

CARD = CardTexts(
    library="onnx",
    opens_with="Both towers are ONNX graphs; they need onnxruntime and no torch.",
    usage="""\
```python
import json
import numpy
from onnxruntime import InferenceSession
from PIL import Image
from tokenizers import Tokenizer

about = json.load(open(f"{folder}/onnx.json"))
side, tokens = about["image"]["size"], about["text"]["max_tokens"]
resample = Image.Resampling[about["image"]["resample"].upper()]
values = numpy.asarray(image.convert("RGB").resize((side, side), resample), numpy.float32)
pixels = (values / 255 - about["image"]["mean"]) / about["image"]["std"]
pixels = pixels.transpose(2, 0, 1)[None].astype(numpy.float32)
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
tokenizer.enable_truncation(tokens)
tokenizer.enable_padding(pad_id=about["text"]["padding_id"])
encoded = tokenizer.encode_batch(["a red umbrella", "a blue dog"])
texts = {
    "input_ids": numpy.array([one.ids for one in encoded], numpy.int64),
    "attention_mask": numpy.array([one.attention_mask for one in encoded], numpy.int64),
}
image_embeds = InferenceSession(f"{folder}/image.onnx").run(["image_embeds"], {"pixel_values": pixels})[0]
text_embeds = InferenceSession(f"{folder}/text.onnx").run(["text_embeds"], texts)[0]
logits = about["logit_scale"] * image_embeds @ text_embeds.T
```

Where there is a `regions.onnx`, it makes of `patch_embeds` the boxes (centre x, centre y, width, height; fractions of
the image) and `confidence_logits` of every cell.
""",
)


def export_run(run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary:
    """Write the newest checkpoint of `run` (or the named one) to the folder `output`, as ONNX.

    Written under a temporary name, compared with the run by onnxruntime and only then renamed.

    Raises InputError: no run, no checkpoint, something else in `output`, or a package that is not installed.
    """
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        raise InputError(
            f"format is onnx, which needs {', '.join(missing)}; install them with: pip install {' '.join(missing)}"
        )
    return export_folder("onnx", CARD, _write, run, output, checkpoint)


class ImageTower(nn.Module):
    """pixel_values → image_embeds, patch_embeds."""

    def __init__(self, encoder: DualEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder.encode_image(pixel_values)


class TextTower(nn.Module):
    """input_ids, attention_mask → text_embeds, word_embeds."""

    def __init__(self, encoder: DualEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder.encode_text(input_ids, attention_mask)


class RegionHead(nn.Module):
    """patch_embeds → boxes, confidence_logits."""

    def __init__(self, generator: RegionGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, patch_embeds: Tensor) -> tuple[Tensor, Tensor]:
        return self.generator.every_cell(patch_embeds)


def _write(source: Source, folder: Path, _: Path) -> Written:
    towers = (source.encoder.vision_model, source.encoder.text_model)
    graphs = _graphs(source)
    differences = []
    for graph in graphs:
        write_graph(graph, folder, towers)
        differences.append(compare_graph(graph, folder, BATCHES))
    save_tokenizer(source, folder)
    save_image_processor(source.run.config, source.encoder.image_size, folder)
    write_json(folder / "onnx.json", _description(source, graphs), indent=2)
    difference = float(
        torch.tensor(differences).max()
    )  # unlike Python's max, this returns NaN if there is one
    return Written(accept(difference, str(folder)), region_head=bool(source.region_weights))


def _graphs(source: Source) -> list[Graph]:
    encoder = source.encoder

    def images(batch: int) -> tuple[Tensor, ...]:
        return probe(encoder, images=batch)[:1]

    def texts(batch: int) -> tuple[Tensor, ...]:
        return probe(encoder, texts=batch, tokens=min(4 + 2 * batch, max_tokens(source)))[1:]

    def patches(batch: int) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (encoder.encode_image(*images(batch))[1],)

    batch, tokens = {0: "batch"}, {0: "batch", 1: "tokens"}
    graphs = [
        Graph(
            "image.onnx",
            ImageTower(encoder),
            {"pixel_values": batch},
            ("image_embeds", "patch_embeds"),
            images,
        ),
        Graph(
            "text.onnx",
            TextTower(encoder),
            {"input_ids": tokens, "attention_mask": tokens},
            ("text_embeds", "word_embeds"),
            texts,
        ),
    ]
    if source.region_weights:
        dim, origin = source.run.config.model.projection_dim, f"run {str(source.run.path)!r}"
        head = RegionHead(build_region_head(source.region_weights, dim, encoder.grid, origin))
        outputs = ("boxes", "confidence_logits")
        graphs.append(Graph("regions.onnx", head, {"patch_embeds": batch}, outputs, patches))
    return graphs


def _description(source: Source, graphs: list[Graph]) -> dict[str, object]:
    """The content of `onnx.json`: how the files go together."""
    encoder = source.encoder
    logarithm = float(encoder.logit_scale.detach()[0])
    return {
        "opset": OPSET,
        "graphs": {
            graph.file: {"inputs": list(graph.inputs), "outputs": list(graph.outputs)} for graph in graphs
        },
        "embedding_dim": source.run.config.model.projection_dim,
        "logit_scale": math.exp(logarithm),
        "temperature": math.exp(-logarithm),
        "image": {
            "size": encoder.image_size,
            "grid": list(encoder.grid),
            "mean": list(source.run.config.pixel_statistics.mean),
            "std": list(source.run.config.pixel_statistics.std),
            "resample": source.run.config.resample,
            "resize": f"squeezed to size × size, {source.run.config.resample}",
        },
        "text": {
            "max_tokens": max_tokens(source),
            "padding_id": source.run.tokenizer().pad_token_id,
        },
    }
