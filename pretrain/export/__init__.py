"""The formats of an export by name. A new one is a file, and a function and one line here.

Importing this loads nothing heavy: each function imports its format when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pipelines.common.registry import lookup

if TYPE_CHECKING:
    from pretrain.export.folder import ExportSummary


class Export(Protocol):
    """Writes the newest checkpoint of a run (or the named one) to a folder; see `hugging_face.export_run`."""

    def __call__(self, run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary: ...


def _hugging_face(run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary:
    from pipelines.common.paths import require_local
    from pretrain.export.run_folder import read_run
    from pretrain.tasks.matcher_config import MatcherConfig

    require_local("output", output)  # before the run is looked at, as in the other formats
    if isinstance(read_run(run).config, MatcherConfig):
        from pretrain.export.matcher import export_matcher

        return export_matcher(run, output, checkpoint=checkpoint)
    from pretrain.export.hugging_face import export_run

    return export_run(run, output, checkpoint=checkpoint)


def _open_clip(run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary:
    from pretrain.export.open_clip import export_run

    return export_run(run, output, checkpoint=checkpoint)


def _onnx(run: str, output: str, *, checkpoint: str | None = None) -> ExportSummary:
    from pretrain.export.onnx import export_run

    return export_run(run, output, checkpoint=checkpoint)


FORMATS: dict[str, Export] = {
    "huggingface": _hugging_face,
    "open-clip": _open_clip,
    "onnx": _onnx,
}


def get_format(name: str) -> Export:
    """The export of that name. Raises InputError naming the known ones and the nearest."""
    return lookup(FORMATS, name, "format", "set --format to one of them")
