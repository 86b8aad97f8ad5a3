"""Exports a trained run as a folder that open_clip opens: `open_clip.create_model_and_transforms("local-dir:FOLDER")`.

`open_clip_config.json` and `open_clip_model.safetensors` for a CustomTextCLIP of timm's Swin and an HFTextEncoder
with BERT's own pooler and a linear projection. open_clip (3.0 and later, with transformers and timm 1.0.17 or later)
builds both towers from what the configuration names: BERT from `hf_model_name`, a Swin of a size that timm has no name
for from `local-dir:`. Both names are this folder, as an absolute path: open_clip resolves them from the working
directory, not from the folder.

Before it is put in place the folder is read back without open_clip: the Swin by `timm_reader.py`, BERT by
transformers as open_clip calls it. A test opens it with open_clip itself and is skipped where that is not installed; it
passes with open_clip 3.3.0 and timm 1.0.31. The preprocessing is configured (squeeze; filter, mean and deviation of the
run) but was only read in open_clip's source, not run: that needs torchvision.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, SwinConfig

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
from pretrain.export.model_card import CardTexts
from pretrain.export.parity import accept, largest_difference, probe, run_embeddings
from pretrain.export.timm_layout import REGISTERED, SwinArguments, registered_name, timm_arguments, to_timm
from pretrain.export.timm_reader import swin_features
from pretrain.models.dual_encoder import DualEncoder
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

CONFIG, WEIGHTS, IMAGE = "open_clip_config.json", "open_clip_model.safetensors", "image"

CARD = CardTexts(
    library="open_clip",
    opens_with="It opens with open_clip (3.0 or later, with transformers).",
    usage="""\
```python
import open_clip

model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
model.eval()
tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
images = model.encode_image(preprocess(image).unsqueeze(0), normalize=True)
texts = model.encode_text(tokenizer(["a red umbrella", "a blue dog"]), normalize=True)
(model.logit_scale.exp() * images @ texts.T).softmax(-1)
```

After moving the folder, put its new absolute path into `open_clip_config.json` wherever the old one stands.
""",
    limits="""\
- open_clip corrects quotation marks, HTML entities and broken encodings in captions before tokenising; in training
  captions were not changed.
""",
)


def export_run(run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary:
    """Write the newest checkpoint of `run` (or the named one) to the folder `output`, for open_clip.

    Written under a temporary name, read back, compared with the run and only then renamed.

    Raises InputError: no run, no checkpoint, something else in `output`, or an image tower that open_clip lacks: a ViT
    of transformers, or a Swin that timm computes otherwise (`timm_layout.py`).
    """
    return export_folder("open-clip", CARD, _write, run, output, checkpoint)


def _write(source: Source, folder: Path, final: Path) -> Written:
    encoder = source.encoder
    arguments = _timm_arguments(encoder)
    _write_weights(encoder, folder / WEIGHTS)
    write_json(folder / CONFIG, _config(source, arguments, final.resolve()), indent=2)
    if registered_name(arguments) is None:
        (folder / IMAGE).mkdir()
        write_json(
            folder / IMAGE / "config.json", _timm_config(encoder, arguments, source.run.config), indent=2
        )
    # open_clip recognises padding by this number alone.
    text = type(encoder.text_model.config).from_dict(encoder.text_model.config.to_dict())
    text.pad_token_id = source.run.tokenizer().pad_token_id
    text.save_pretrained(folder)
    save_tokenizer(source, folder)
    return Written(check_parity(encoder, folder))


def check_parity(encoder: DualEncoder, folder: Path) -> float:
    """Largest absolute difference of any embedding between the run and what open_clip makes of `folder`.

    Raises RuntimeError where it is too large.
    """
    pixels, ids, mask = probe(encoder, padding=AutoConfig.from_pretrained(folder).pad_token_id)
    exported = read_back(folder, pixels, ids)
    trained = run_embeddings(encoder, pixels, ids, mask)
    return accept(largest_difference(zip(trained, exported, strict=True)), str(folder))


@torch.no_grad()
def read_back(folder: Path, pixels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unit-length embeddings [I, D] of images and [T, D] of texts, and the temperature's logarithm, from the files."""
    model = json.loads((folder / CONFIG).read_bytes())["model_cfg"]
    weights = load_file(folder / WEIGHTS)
    name = model["vision_cfg"]["timm_model_name"]
    arguments = (
        REGISTERED.get(name) or json.loads((folder / IMAGE / "config.json").read_bytes())["model_args"]
    )
    image = F.linear(
        swin_features(_under(weights, "visual.trunk."), arguments, pixels), weights["visual.head.proj.weight"]
    )
    config = AutoConfig.from_pretrained(folder)
    tower = AutoModel.from_config(config, add_pooling_layer=True).eval()
    tower.load_state_dict(_under(weights, "text.transformer."))
    pooled = tower(input_ids=ids, attention_mask=(ids != config.pad_token_id).long()).pooler_output
    text = F.linear(pooled, weights["text.proj.weight"])
    return F.normalize(image, dim=-1), F.normalize(text, dim=-1), weights["logit_scale"]


def _timm_arguments(encoder: DualEncoder) -> SwinArguments:
    config, words = encoder.vision_model.config, encoder.text_model.config
    if not isinstance(config, SwinConfig) or words.model_type != "bert":
        raise InputError(
            f"format is open-clip, but the run's towers are a {config.model_type} and a {words.model_type}, whose "
            "pooled outputs open_clip's towers do not compute; allowed are a swin and a bert; use --format huggingface "
            "or --format onnx"
        )
    return timm_arguments(config)


def _write_weights(encoder: DualEncoder, file: Path) -> None:
    trunk = to_timm(encoder.vision_model.state_dict())
    weights = {f"visual.trunk.{name}": tensor for name, tensor in trunk.items()}
    weights["visual.head.proj.weight"] = encoder.visual_projection.get_parameter("weight").detach()
    weights |= {
        f"text.transformer.{name}": tensor for name, tensor in encoder.text_model.state_dict().items()
    }
    weights["text.proj.weight"] = encoder.text_projection.get_parameter("weight").detach()
    weights["logit_scale"] = encoder.logit_scale.detach()[0]
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()}, file, metadata={"format": "pt"}
    )


def _config(source: Source, arguments: SwinArguments, folder: Path) -> dict[str, object]:
    """The content of `open_clip_config.json`."""
    side, statistics = arguments["img_size"], source.run.config.pixel_statistics
    return {
        "model_cfg": {
            "embed_dim": source.run.config.model.projection_dim,
            "custom_text": True,
            "vision_cfg": {
                "timm_model_name": registered_name(arguments) or f"local-dir:{folder / IMAGE}",
                "timm_model_pretrained": False,
                "timm_pool": "avg",
                "timm_proj": "linear",
                "image_size": side,
            },
            "text_cfg": {
                "hf_model_name": str(folder),
                "hf_tokenizer_name": str(folder),
                "hf_pooler_type": "cls_pooler",
                "hf_proj_type": "linear",
                "context_length": max_tokens(source),
                "vocab_size": source.encoder.text_model.config.vocab_size,
            },
        },
        "preprocess_cfg": {
            "size": side,
            "mean": list(statistics.mean),
            "std": list(statistics.std),
            "interpolation": source.run.config.resample,
            "resize_mode": "squash",
        },
    }


def _timm_config(
    encoder: DualEncoder, arguments: SwinArguments, config: DualEncoderConfig
) -> dict[str, object]:
    """timm's description of a model; its arguments override those of the named architecture."""
    side = arguments["img_size"]
    return {
        "architecture": "swin_tiny_patch4_window7_224",
        "num_classes": 0,
        "num_features": encoder.vision_model.config.hidden_size,
        "model_args": arguments,
        "pretrained_cfg": {
            "num_classes": 0,
            "input_size": [3, side, side],
            "fixed_input_size": True,
            "pool_size": list(encoder.grid),
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "interpolation": config.resample,
            "mean": list(config.pixel_statistics.mean),
            "std": list(config.pixel_statistics.std),
            "first_conv": "patch_embed.proj",
            "classifier": "head.fc",
        },
    }


def _under(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
