"""Pretraining from curated shards; `load` opens what it exported. Importing this loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pretrain.api import Loupe


def load(export: str, device: str = "cpu", **options: Any) -> Loupe:
    """Open a folder of `loupe export`: `load(dir).detect(image, ["red umbrella"])`, `.ground`, `.rank`.

    `options` as in `pretrain.api.Loupe`. Raises InputError when the folder is no export.
    """
    from pretrain.api import Loupe

    return Loupe(export, device, **options)
