"""Exports a trained run as a stock Hugging Face checkpoint that opens with no code of ours.

The folder is a `VisionTextDualEncoderModel` (a `SiglipModel` of a run that started from a whole SigLIP; config,
safetensors), its tokenizer, its image processor and a model card. The proxy heads are not part of it: a region
generator goes to a file of its own beside the model.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from safetensors.torch import save_file
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from pipelines.common.files import write_json
from pretrain.config import PretrainConfig
from pretrain.export.folder import ExportSummary, Source, Written, export_folder, save_tokenizer
from pretrain.export.model_card import HUGGINGFACE, SIGLIP
from pretrain.export.parity import check_parity
from pretrain.export.progress_bars import quiet_loading
from pretrain.export.region_head import DESCRIPTION, WEIGHTS
from pretrain.export.stock_model import stock_model


def export_run(run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary:
    """Write the newest checkpoint of `run` (or the named one) to the folder `output`.

    The folder is made under a temporary name, loaded again, compared with the run (`parity.py`) and only
    then renamed. An earlier export of the same run in `output` is replaced; any other folder stays as it is.

    Raises InputError: no run, no checkpoint, or something else in `output`.
    """
    return export_folder("huggingface", HUGGINGFACE, _write, run, output, checkpoint)


def _write(source: Source, folder: Path, _: Path) -> Written:
    _write_model(source, folder)
    region_head = _write_region_head(source, folder)
    difference = check_parity(source.encoder, str(folder))
    return Written(difference, region_head, None if source.encoder.projects else SIGLIP)


def _write_model(source: Source, folder: Path) -> None:
    dim = source.run.config.model.projection_dim
    model = stock_model(source.encoder, dim, source.heads.get("logit_bias"))
    with quiet_loading():
        model.save_pretrained(folder)
    save_tokenizer(source, folder)
    save_image_processor(source.run.config, source.encoder.image_size, folder)


def save_image_processor(config: PretrainConfig, side: int, folder: Path) -> None:
    """Write the stock image processor that makes pixels as training did: squeezed to a square, normalised."""
    statistics = config.pixel_statistics
    ViTImageProcessorPil(
        size={"height": side, "width": side},
        resample=int(Image.Resampling[config.resample.upper()]),
        image_mean=list(statistics.mean),
        image_std=list(statistics.std),
    ).save_pretrained(folder)


def _write_region_head(source: Source, folder: Path) -> bool:
    weights = source.region_weights
    if not weights:
        return False
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    description = {
        "grid": list(source.encoder.grid),
        "projection_dim": source.run.config.model.projection_dim,
        "shapes": {name: list(tensor.shape) for name, tensor in sorted(weights.items())},
        "objectives": source.run.config.objectives.model_dump(mode="json"),
    }
    write_json(folder / DESCRIPTION, description, indent=2)
    return True
