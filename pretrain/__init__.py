"""Pretraining from curated shards; `load` opens what it exported. Importing this loads nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from pretrain.api import Loupe


def load(
    export: str | os.PathLike[str],
    device: str | None = None,
    *,
    proposals: str | None = None,
    **options: object,
) -> Loupe:
    """Open a folder of `loupe export`: `load(folder).detect(image, ["red umbrella"])`, `.ground`, `.rank`.

    `device`, `proposals` and `options` as in `pretrain.api.Loupe`. Raises InputError when the folder is no export.
    """
    from pretrain.api import Loupe

    return Loupe(export, device, proposals=proposals, **options)
