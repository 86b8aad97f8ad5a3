"""The folder of a stock BLIP for image-text matching: what it must hold, found out without loading its weights."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from data_filters.errors import InputError
from pipelines.curate.look.model_files import (
    IMAGE_PROCESSOR,
    TOKENIZER,
    loading,
    model_files,
    read_config,
    require,
)

ARCHITECTURE = "BlipForImageTextRetrieval"
_WHAT = f"give a {ARCHITECTURE}, such as an export of `loupe export` of a matcher"
MOST_HEADER = 100_000_000  # bytes, the format's own limit


def check_matching_folder(folder: str, allow_pickle: bool) -> None:
    """Raise InputError, which names what was found, where a folder holds no BLIP for matching with all its parts.

    `allow_pickle`: weights may be pickled where they are no safetensors.
    """
    files = model_files(folder)
    _check_architecture(folder)
    weights = [name for name in files if name.endswith(".safetensors")]
    if not weights and not allow_pickle:
        found = ", ".join(name for name in files if name.endswith(".bin"))
        raise InputError(
            f"model is {folder}, whose weights are {found}, pickled, which can run code when they are loaded; convert "
            "them to safetensors, or set allow_pickle: true"
        )
    require(folder, "image processor", IMAGE_PROCESSOR)
    require(folder, "tokenizer", TOKENIZER)
    names_of = tensor_names if weights else _pickled_names
    held = weights or [name for name in files if name.endswith(".bin")]
    _check_weights(folder, {name for file in held for name in names_of(os.path.join(folder, file))})
    processor, tokenizer = load_parts(folder)
    first_token_id(folder, read_settings(folder).first_token, tokenizer)
    _check_size(folder, processor)


def _check_architecture(folder: str) -> None:
    config = read_config(folder, "config.json")
    kind, classes = config.get("model_type"), config.get("architectures") or []
    if kind == "blip" and ARCHITECTURE in classes:
        return
    found = f"a {' or '.join(map(str, classes)) or 'model of no stated class'} (model_type {kind})"
    raise InputError(f"model is {folder}, {found}, which has no image-text matching head; {_WHAT}")


def _check_weights(folder: str, stored: set[str]) -> None:
    missing = sorted(expected_tensors(folder) - stored)
    if not missing:
        return
    head = [name for name in missing if name.startswith("itm_head")]
    raise InputError(
        f"model is {folder}, whose weights lack {len(missing)} tensors, the first is {(head or missing)[0]}; "
        f"they would be made up at random; {_WHAT}"
    )


def expected_tensors(folder: str) -> set[str]:
    """The names of the weights of the folder's configuration. Raises InputError when it cannot be read."""
    import torch
    from transformers import BlipConfig, BlipForImageTextRetrieval

    with loading(folder), torch.device("meta"):
        model = BlipForImageTextRetrieval(BlipConfig.from_pretrained(folder, local_files_only=True))
    return {name for name, _ in model.named_parameters()}


def tensor_names(path: str) -> set[str]:
    """The tensors of a file of safetensors, from its header. Raises InputError when it is damaged.

    Format: the header's length as 8 bytes, little-endian, then the header as JSON.
    """
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, MOST_HEADER)))
            names = set(header) - {"__metadata__"}
            end = 8 + length + max((header[name]["data_offsets"][1] for name in names), default=0)
            size = os.fstat(file.fileno()).st_size
    except (OSError, ValueError, TypeError, KeyError, struct.error) as error:
        raise InputError(
            f"{path} is no file of safetensors ({' '.join(str(error).split())}); copy the model again"
        ) from error
    if size < end:
        raise InputError(f"{path} has {size} bytes, its header tells of {end}; copy the model again")
    return names


def _pickled_names(path: str) -> set[str]:
    """The tensors of a pickled file, whose values are not read."""
    import torch

    with loading(os.path.dirname(path)):
        return set(torch.load(path, map_location="meta", weights_only=True, mmap=True))


# Any: an image processor and a tokenizer of transformers.
def load_parts(folder: str) -> tuple[Any, Any]:
    """Image processor and tokenizer. Raises InputError when there is none, or it cannot be loaded."""
    from transformers import AutoImageProcessor, AutoTokenizer

    require(folder, "image processor", IMAGE_PROCESSOR)
    require(folder, "tokenizer", TOKENIZER)
    with loading(folder):
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
        return processor, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def first_token_id(folder: str, first_token: str, tokenizer: Any) -> int | None:
    """The number of the token that a grounded caption begins with; None where it is the tokenizer's own.

    Raises InputError when the tokenizer does not know it.
    """
    from data_filters import matching

    return matching.first_token_id(
        first_token,
        tokenizer.get_vocab(),
        f"model is {folder}, whose {matching.SETTINGS} names the first token {first_token!r}, which its tokenizer does "
        "not know; save the tokenizer with which the model was trained",
    )


def image_size(folder: str) -> int:
    """The side in pixels of the images that the model takes. Raises InputError when its configuration does not say."""
    from transformers import BlipConfig

    with loading(folder):
        config: Any = BlipConfig.from_pretrained(folder, local_files_only=True)
        return int(config.vision_config.image_size)


# Any: as above.
def _check_size(folder: str, processor: Any) -> None:
    from PIL import Image

    with loading(folder):
        grey = [Image.new("RGB", (64, 48))]
        pixels = processor(grey, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    side = image_size(folder)
    if tuple(pixels.shape[2:]) != (side, side):
        raise InputError(
            f"model is {folder}, which takes images of {side} x {side} px and whose image processor makes "
            f"{pixels.shape[3]} x {pixels.shape[2]} px; mend preprocessor_config.json"
        )


# Any: MatchingSettings, whose module imports torch.
def read_settings(folder: str) -> Any:
    """What lies beside the weights (`data_filters.matching.read_settings`)."""
    from data_filters import matching

    return matching.read_settings(folder)
