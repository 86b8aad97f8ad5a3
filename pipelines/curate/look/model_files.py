"""A Hugging Face checkpoint in a local folder: its files, their sha256, and the size at which it takes pictures."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any

from data_filters.errors import InputError
from pipelines.curate.scores.local_files import sha256_of

SMALLEST_DECODE = 512
"""Pixels: groups that ask for the same size share one decoding, and models commonly take 224 px or 256 px.

Twice that, since JPEG scaled further moves a score: open_nsfw's by 0.008 on average, 0.07 at most, at 256 px.
"""

_WEIGHTS = (
    ("model*.safetensors",),
    ("pytorch_model*.bin",),
)  # transformers takes the first kind that is there
IMAGE_PROCESSOR = ("preprocessor_config.json", "processor_config.json")
TOKENIZER = ("tokenizer.json", "vocab.*", "*.model")
_OTHERS = (
    "config.json",
    *IMAGE_PROCESSOR,
    *TOKENIZER,
    "model*.index.json",
    "pytorch_model*.index.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "matching.json",
)


def model_files(folder: str) -> list[str]:
    """The names of the files that decide what a checkpoint computes, sorted.

    Raises InputError when the folder is not there or holds no config or no weights.
    """
    if not os.path.isdir(folder):
        raise InputError(
            f"model is {folder}, where there is no folder; give the local folder of a Hugging Face checkpoint"
        )
    names = sorted(os.listdir(folder))
    weights = next((found for patterns in _WEIGHTS if (found := _matching(names, patterns))), [])
    for what, is_there in (("config.json", "config.json" in names), ("weights", bool(weights))):
        if not is_there:
            raise InputError(
                f"model is {folder}, which holds no {what}; give the local folder of a Hugging Face checkpoint"
            )
    return sorted({*weights, *_matching(names, _OTHERS)})


def require(folder: str, what: str, patterns: tuple[str, ...]) -> None:
    """Raise InputError where a checkpoint has none of these files; transformers would make up a part without values."""
    if not _matching(model_files(folder), patterns):
        raise InputError(
            f"model is {folder}, which holds no {what} ({', '.join(patterns)}); save it with the model"
        )


def _matching(names: list[str], patterns: tuple[str, ...]) -> list[str]:
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def model_sha256(folder: str) -> str:
    """The sha256 of a checkpoint, in hex digits: that of the names and the sha256 of its files.

    Raises InputError as `model_files` does, and when a file cannot be read.
    """
    whole = hashlib.sha256()
    for name in model_files(folder):
        whole.update(f"{name} {sha256_of(os.path.join(folder, name))}\n".encode())
    return whole.hexdigest()


# Any: what the JSON of a checkpoint holds.
def read_config(folder: str, name: str) -> dict[str, Any]:
    """A JSON file of a checkpoint; empty where it is not there. Raises InputError when it cannot be read."""
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({' '.join(str(error).split())}); mend the model's folder"
        ) from error
    return found if isinstance(found, dict) else {}


def smallest_decode(folder: str) -> int:
    """The pixels of the shorter side that a checkpoint is given: twice what its image processor makes of them.

    0, the whole image, where that does not say.

    An image that is larger may be decoded at reduced scale, as `data_filters.decode.decode` does with JPEG.
    """
    config = read_config(folder, "preprocessor_config.json")
    if not config:
        config = read_config(folder, "processor_config.json").get("image_processor", {})
    size = config.get("size")
    sides = size if isinstance(size, dict) else {"side": size}
    known = {"height", "width", "shortest_edge", "side"}
    numbers = [side for side in sides.values() if isinstance(side, int)]
    if not set(sides) <= known or not numbers or len(numbers) < len(sides):
        return 0
    share = float(config.get("crop_pct") or 1)  # the share of the resized image that is cut out
    return max(SMALLEST_DECODE, math.ceil(2 * max(numbers) / share))


@contextlib.contextmanager
def loading(folder: str) -> Iterator[None]:
    """While open, transformers draws no bars, and what it raises becomes an InputError of one line."""
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # whatever the checkpoint's format leads to
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise InputError(
            f"model is {folder}, which transformers cannot load ({cause}); mend the model's folder"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


# Any: the class of a model of transformers, and its models.
def load_model(auto_class: Any, folder: str) -> Any:
    """A model in float32 for inference. Raises InputError when it cannot be loaded, or tensors of it are not there."""
    import torch

    with loading(folder):
        model, about = auto_class.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    missing = sorted(about["missing_keys"])
    if missing:
        raise InputError(
            f"model is {folder}, which as {type(model).__name__} lacks {len(missing)} tensors, the first is "
            f"{missing[0]}; give a checkpoint that was trained for this"
        )
    return model.eval()
