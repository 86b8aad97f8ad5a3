"""The folder of an export: where it may be written, and how it comes into place whole."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_filters.errors import InputError
from pretrain.export.record import read_record
from pretrain.export.run_folder import RunFolder


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder under a temporary name beside `target`; at the end it takes that name, after an error it goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}.partial"
    try:
        partial.mkdir()
        yield partial
        _move_into_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_target(target: Path, run: RunFolder, format: str) -> None:
    """Raise InputError where the target is anything but empty or an export of this run in this format."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        record = read_record(target)
        name, identity, kind = record["name"], record["run"], record.get("format", "huggingface")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"output {str(target)!r} is there and is no export of this run; nothing was changed; "
            "give a new or empty folder with --output"
        ) from None
    if identity != run.identity:
        raise InputError(
            f"output {str(target)!r} holds an export of run {name!r} (config {identity[:12]}), not of "
            f"{run.config.name!r} (config {run.identity[:12]}); nothing was changed; give a new --output"
        )
    if kind != format:
        raise InputError(
            f"output {str(target)!r} holds this run's export in the format {kind}, not {format}; nothing was "
            "changed; give a new --output"
        )


def _move_into_place(partial: Path, target: Path) -> None:
    """Rename `partial` to `target`; an earlier export is moved aside first, so that `target` is never half written."""
    old = None
    if target.exists():
        old = partial.with_name(partial.name + ".old")
        target.rename(old)
    partial.rename(target)
    if old is not None:
        shutil.rmtree(old)
