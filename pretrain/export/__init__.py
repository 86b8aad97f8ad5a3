"""The formats of an export by name: a new one is one file and one line here."""

from __future__ import annotations

from typing import Protocol

from data_filters.errors import InputError
from pretrain.export import hugging_face, onnx, open_clip
from pretrain.export.folder import ExportSummary


class Export(Protocol):
    """Writes the newest checkpoint of a run (or the named one) to a folder; see `hugging_face.export_run`."""

    def __call__(self, run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary: ...


FORMATS: dict[str, Export] = {
    "huggingface": hugging_face.export_run,
    "open-clip": open_clip.export_run,
    "onnx": onnx.export_run,
}


def get_format(name: str) -> Export:
    """The export of that name. Raises InputError naming the known ones."""
    if name not in FORMATS:
        raise InputError(f"format is {name!r}; allowed are {', '.join(FORMATS)}; set --format to one of them")
    return FORMATS[name]
