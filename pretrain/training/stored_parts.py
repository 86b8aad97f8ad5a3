"""RUN/parts: shapes of published towers, and the tokenizer, so that a run's checkpoint can be opened without them.

A recipe names published towers and tokenizers by a local path or a hub name. The weights of the towers are in the
checkpoint; `parts/image/architecture.json`, `parts/text/architecture.json` and `parts/tokenizer/` hold the rest.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TypeVar

from pipelines.common.files import partial_name, sync_tree, write_json
from pretrain.config import PretrainConfig
from pretrain.data.samples.tokenizer import SHIPPED, load_tokenizer
from pretrain.models.published_towers import ARCHITECTURE, published_architecture

FOLDER = "parts"


def store_parts(config: PretrainConfig, run: Path) -> None:
    """Write the architectures of published towers and the tokenizer into the run; what is stored stays as it is.

    Raises InputError when one that is not stored cannot be loaded.
    """
    for name, (path, key) in config.published_parts().items():
        file = run / FOLDER / name / ARCHITECTURE
        if not file.is_file():
            write_json(file, published_architecture(path, key))
    _store_tokenizer(config.tokenizer, run / FOLDER / "tokenizer")


Config = TypeVar("Config", bound=PretrainConfig)


def with_stored_towers(config: Config, run: Path) -> Config:
    """Return the recipe with the run's stored architectures in place of published towers, which then have no weights.

    For a module into which a checkpoint is loaded. A tower that is not stored stays as it is.
    """
    stored = {
        name: str(run.absolute() / FOLDER / name)
        for name in config.published_parts()
        if (run / FOLDER / name / ARCHITECTURE).is_file()
    }
    return config.with_published_parts(stored) if stored else config


def with_stored_tokenizer(config: Config, run: Path) -> Config:
    """Return the recipe with the run's stored tokenizer in place of the one it names, where one is stored."""
    folder = run.absolute() / FOLDER / "tokenizer"
    if config.tokenizer == SHIPPED or not folder.is_dir():
        return config
    return config.model_copy(update={"tokenizer": str(folder)})


def _store_tokenizer(tokenizer: str, folder: Path) -> None:
    """Write the files of a tokenizer that is not shipped into `folder`, unless they are there."""
    if tokenizer == SHIPPED or folder.is_dir():
        return
    partial = Path(partial_name(str(folder)))
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        load_tokenizer(tokenizer).save_pretrained(str(partial))
        sync_tree(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
