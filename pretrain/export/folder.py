"""What every format of an export shares: which run and checkpoint, where it may be written, its record and card.

A format is one function that writes a folder and returns how far its embeddings are from the run's (`FORMATS` in
`__init__.py` lists them). The folder is written under a temporary name, compared with the run and only then renamed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pipelines.common.files import write_json
from pipelines.common.paths import require_local
from pretrain.export.model_card import CardTexts, write_model_card
from pretrain.export.record import RECORD
from pretrain.export.run_folder import (
    ENCODER_PREFIX,
    DualEncoderRun,
    RunFolder,
    find_checkpoint,
    load_weights,
    open_run,
    restore_encoder,
)
from pretrain.export.target import check_target, new_folder
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.text_kinds import text_kind

REGION_PREFIX = "region_generator."


@dataclass(frozen=True)
class ExportSummary:
    """A finished export. `max_difference` is the largest difference of any embedding value between run and export."""

    run: str
    checkpoint: str
    step: int
    output: str
    format: str
    parameters: int
    left_out: dict[str, int]
    region_head: bool
    max_difference: float


@dataclass(frozen=True)
class Source:
    """The run to export, its towers (evaluation mode, fp32, CPU) and the tensors of its proxy heads by name."""

    run: DualEncoderRun
    encoder: DualEncoder
    heads: dict[str, Tensor]

    @property
    def region_weights(self) -> dict[str, Tensor]:
        """The region generator's tensors under its own names, fp32; empty where the run has none."""
        return {
            name.removeprefix(REGION_PREFIX): tensor.float().contiguous()
            for name, tensor in self.heads.items()
            if name.startswith(REGION_PREFIX)
        }


@dataclass(frozen=True)
class Written:
    """The result of a format's function, which has compared its folder with the run.

    `texts` are those of the model card where they are not the format's own.
    """

    max_difference: float
    region_head: bool = False
    texts: CardTexts | None = None


Write = Callable[[Source, Path, Path], Written]
"""(source, folder to write, where that folder will lie): writes, compares, and raises RuntimeError on a difference."""


def export_folder(
    format: str, texts: CardTexts, write: Write, run: str, output: str, checkpoint: str | None
) -> ExportSummary:
    """Write the newest checkpoint of `run` (or the named one) to the folder `output` by `write`.

    An earlier export of the same run in the same format is replaced; any other folder stays as it is.

    Raises InputError: no run, no checkpoint, or something else in `output`.
    """
    target = Path(require_local("output", output))
    source_run = open_run(run)
    chosen = find_checkpoint(source_run, checkpoint)
    check_target(target, source_run, format)
    weights = load_weights(chosen)
    heads = {name: tensor for name, tensor in weights.items() if not name.startswith(ENCODER_PREFIX)}
    source = Source(source_run, restore_encoder(source_run, weights), heads)

    with new_folder(target) as partial:
        written = write(source, partial, target)
        summary = ExportSummary(
            run=run,
            checkpoint=chosen.folder.name,
            step=chosen.step,
            output=output,
            format=format,
            parameters=sum(parameter.numel() for parameter in source.encoder.parameters()),
            left_out=_count_by_prefix(heads, written.region_head),
            region_head=written.region_head,
            max_difference=written.max_difference,
        )
        _write_card(summary, source_run, partial, written.texts or texts)
    return summary


def save_tokenizer(source: Source, folder: Path) -> None:
    """Write the run's tokenizer, with the length limit that captions had in training."""
    tokenizer = source.run.tokenizer()
    tokenizer.model_max_length = max_tokens(source)
    tokenizer.save_pretrained(folder)


def max_tokens(source: Source) -> int:
    """The length limit of captions, in tokens with [CLS] and [SEP].

    For a tower that reads padding (SigLIP) the tower's own: users pad to it, as training did.
    """
    shape = source.encoder.text_model.config
    kind = text_kind(shape)
    most = kind.most_tokens(shape)
    return most if kind.reads_padding else min(source.run.config.model.text.max_tokens, most)


def _write_card(summary: ExportSummary, run: DualEncoderRun, folder: Path, texts: CardTexts) -> None:
    write_model_card(folder, write_record(summary, run, folder), texts)


# Any: JSON values.
def write_record(summary: ExportSummary, run: RunFolder, folder: Path) -> dict[str, Any]:
    """Write the record of an export, and return it."""
    record = {
        "version": 1,
        "run": run.identity,
        "name": run.config.name,
        **{key: value for key, value in asdict(summary).items() if key not in ("run", "output")},
        "config": run.config.model_dump(mode="json"),
        "data": run.data,
    }
    write_json(folder / RECORD, record, indent=2)
    return record


def _count_by_prefix(heads: dict[str, Tensor], region_head: bool) -> dict[str, int]:
    """Number of parameters that are not exported, by head."""
    counts: dict[str, int] = {}
    for name, tensor in heads.items():
        prefix = name.split(".", 1)[0]
        if not (region_head and name.startswith(REGION_PREFIX)):
            counts[prefix] = counts.get(prefix, 0) + tensor.numel()
    return counts
