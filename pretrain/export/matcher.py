"""Exports a trained matcher as a stock `BlipForImageTextRetrieval`, which `loupe curate` and transformers open alike.

Beside it lies `matching.json` (`data_filters.matching.MatchingSettings`): the temperature, which the stock weights do
not hold, and the token in place 0 of a caption that attends to the image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BlipForImageTextRetrieval

from data_filters.errors import InputError
from data_filters.matching import MatchingSettings, matching_scores, write_settings
from pipelines.common.paths import require_local
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export.folder import ExportSummary, write_record
from pretrain.export.hugging_face import save_image_processor
from pretrain.export.matcher_card import write_matcher_card
from pretrain.export.parity import accept
from pretrain.export.progress_bars import quiet_loading
from pretrain.export.run_folder import RunFolder, find_checkpoint, load_weights, read_run
from pretrain.export.target import check_target, new_folder
from pretrain.models.matcher import build_matcher
from pretrain.tasks.matcher import first_token_id
from pretrain.tasks.matcher_config import MatcherConfig
from pretrain.training.stored_parts import with_stored_tokenizer, with_stored_towers

PREFIX = "matcher."
FORMAT = "huggingface"
_SEED = 20240


def export_matcher(run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary:
    """Write the newest checkpoint of a matcher's run (or the named one) to the folder `output`.

    The folder is made under a temporary name, loaded again, compared with the run by both scores on random images and
    captions, and only then renamed. An earlier export of the same run in `output` is replaced.

    Raises InputError: no run, no checkpoint, or something else in `output`.
    """
    target = Path(require_local("output", output))
    source = read_run(run)
    chosen = find_checkpoint(source, checkpoint)
    check_target(target, source, FORMAT)
    weights = load_weights(chosen)
    config, model = restore_matcher(source, weights)
    shape: Any = model.config  # transformers gives its parts no type
    settings = MatchingSettings(config.model.first_token, 1 / float(weights["logit_scale"].float().exp()))
    with new_folder(target) as partial:
        with quiet_loading():
            model.save_pretrained(partial)
        tokenizer = load_tokenizer(config.tokenizer)
        tokenizer.model_max_length = min(
            config.model.text.max_tokens, shape.text_config.max_position_embeddings
        )
        tokenizer.save_pretrained(partial)
        save_image_processor(config, shape.vision_config.image_size, partial)
        write_settings(str(partial), settings)
        summary = ExportSummary(
            run=run,
            checkpoint=chosen.folder.name,
            step=chosen.step,
            output=output,
            format=FORMAT,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            left_out={},
            region_head=False,
            max_difference=_compared(model, partial, first_token_id(config)),
        )
        record = write_record(summary, source, partial)
        write_matcher_card(partial, record, settings)
    return summary


def restore_matcher(
    run: RunFolder, weights: dict[str, Tensor]
) -> tuple[MatcherConfig, BlipForImageTextRetrieval]:
    """The run's recipe with its stored tokenizer, and its matcher with these weights, fp32 on the CPU.

    Raises InputError when the weights do not fit the run's recipe.
    """
    assert isinstance(run.config, MatcherConfig)
    config = with_stored_tokenizer(run.config, run.path)
    tokenizer = load_tokenizer(config.tokenizer)
    model = build_matcher(with_stored_towers(config, run.path).model, len(tokenizer), tokenizer)
    own = {
        name.removeprefix(PREFIX): tensor.float()
        for name, tensor in weights.items()
        if name.startswith(PREFIX)
    }
    try:
        model.load_state_dict(own)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"run {str(run.path)!r}: the checkpoint does not fit config.json ({reason[:300]}); both must come of the "
            "same run"
        ) from error
    return config, model.eval()


def _compared(model: BlipForImageTextRetrieval, folder: Path, first: int | None) -> float:
    """The largest difference of any score of random pairs. Raises RuntimeError when it exceeds parity's limit."""
    with quiet_loading():
        stock = BlipForImageTextRetrieval.from_pretrained(str(folder), dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(_SEED)
    shape: Any = model.config
    side, words = shape.vision_config.image_size, shape.text_config
    pixels = torch.rand(4, 3, side, side, generator=generator) * 2 - 1
    length = min(16, words.max_position_embeddings)
    ids = torch.randint(0, words.vocab_size, (4, length), generator=generator)
    mask = (torch.arange(length) < torch.tensor([[3], [length // 2], [length - 1], [length]])).long()
    with torch.no_grad():
        ours, theirs = (torch.stack(matching_scores(one, pixels, ids, mask, first)) for one in (model, stock))
    return accept(float((ours - theirs).abs().max()), str(folder))
