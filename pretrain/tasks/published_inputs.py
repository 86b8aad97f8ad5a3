"""What published towers say of their inputs, where a recipe leaves it out: pixels, image size, text length, width.

The keys that a recipe sets stand, then those of the run that goes on, then the published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from data_filters.errors import InputError
from pipelines.common.config import Section
from pretrain.data.samples.tokenizer import SHIPPED, has_tokenizer, load_tokenizer
from pretrain.model_config import ImageTowerConfig, ModelConfig, TextTowerConfig
from pretrain.tasks.pixel_keys import with_pixels_of

if TYPE_CHECKING:  # it imports torch
    from pretrain.models.published_towers import Half

IMAGE, TEXT = "model.image.pretrained", "model.text.pretrained"


def with_inputs_of(model: ModelConfig, recorded: ModelConfig | None) -> ModelConfig:
    """Return the section with the inputs of its published towers in the keys that it leaves out.

    `recorded` is the section of the run that goes on. Raises InputError when a tower cannot be loaded or is of a kind
    that is not known.
    """
    changed: dict[str, Section | int] = {}
    if model.pretrained is not None:
        same = recorded is not None and recorded.pretrained == model.pretrained
        width = recorded.projection_dim if recorded and same else _space_width(model.pretrained)
        if "projection_dim" not in model.model_fields_set:
            changed["projection_dim"] = width
    if model.image.pretrained is not None:
        before = recorded.image if recorded and recorded.image.pretrained == model.image.pretrained else None
        changed["image"] = _with_image_inputs(model.image, before)
    if model.text.pretrained is not None:
        words = recorded.text if recorded and recorded.text.pretrained == model.text.pretrained else None
        changed["text"] = _with_text_inputs(model.text, words)
    return model.model_copy(update=changed)


def tokenizer_of(model: ModelConfig) -> str:
    """The tokenizer of a recipe that names none: the one beside the published text tower, or the shipped one.

    Raises InputError when nothing of a tokenizer lies beside the tower.
    """
    name = model.text.pretrained
    if name is None:
        return SHIPPED
    if not has_tokenizer(name):
        raise InputError(
            f"{_text_key(model)} is {name!r}, which has no tokenizer beside its weights; allowed is a folder with the "
            "tokenizer's files, or tokenizer=FOLDER; set tokenizer to the one that the tower was trained with"
        )
    return name


def check_published(
    model: ModelConfig,
    tokenizer: str,
    *,
    recomputes: bool,
    regions: int | None = None,
    words_are_read: Sequence[str] = (),
) -> None:
    """Raise InputError when published towers do not fit the recipe. Weights are read of towers locked for ever alone.

    `regions` is the number of regions of an image, where the recipe has any. `recomputes`: whether activations are
    recomputed in the backward pass, which some towers cannot. `words_are_read`: the objectives that read single words
    or phrases, which mean nothing where padding is read too.
    """
    if model.image.pretrained is not None:
        _check_image(model, recomputes, regions)
    if model.text.pretrained is not None:
        _check_text(model, tokenizer, words_are_read)
    if model.pretrained is not None:
        width = _space_width(model.pretrained)
        if width != model.projection_dim:
            raise InputError(
                f"model.projection_dim is {model.projection_dim}, model.pretrained {model.pretrained!r} has a space of "
                f"{width}; leave model.projection_dim out"
            )


def _space_width(whole: str) -> int:
    from pretrain.models.published_towers import space_width

    return space_width(whole)


def _with_image_inputs(image: ImageTowerConfig, recorded: ImageTowerConfig | None) -> ImageTowerConfig:
    assert image.pretrained is not None
    filled = with_pixels_of(image, image.pretrained, IMAGE, recorded)
    if "image_size" in image.model_fields_set:
        return filled
    size = _image_size(image.pretrained) if recorded is None else recorded.image_size
    return filled.model_copy(update={"image_size": size})


def _image_size(name: str) -> int:
    """The side in px that the tower's image processor makes where the tower takes any size; else the tower's own."""
    from pretrain.models.image_kinds import image_kind, square_side
    from pretrain.models.published_pixels import published_side
    from pretrain.models.published_towers import published_config

    shape = published_config(name, IMAGE, "vision_config")
    side = published_side(name) if image_kind(shape).any_size else None
    return square_side("image_size", shape.image_size) if side is None else side


def _with_text_inputs(text: TextTowerConfig, recorded: TextTowerConfig | None) -> TextTowerConfig:
    from pretrain.models.published_towers import published_config
    from pretrain.models.text_kinds import text_kind

    assert text.pretrained is not None
    if "max_tokens" in text.model_fields_set:
        return text
    if recorded is not None:
        return text.model_copy(update={"max_tokens": recorded.max_tokens})
    shape = published_config(text.pretrained, TEXT, "text_config")
    kind = text_kind(shape)
    most = kind.most_tokens(shape)
    return text.model_copy(update={"max_tokens": most if kind.reads_padding else min(text.max_tokens, most)})


def _check_image(model: ModelConfig, recomputes: bool, regions: int | None) -> None:
    from pretrain.models.image_kinds import image_kind, map_shape, square_side
    from pretrain.models.published_towers import published_config

    name, size = model.image.pretrained, model.image.image_size
    assert name is not None
    key = IMAGE if model.pretrained is None else "model.pretrained"
    shape = published_config(name, key, "vision_config")
    kind = image_kind(shape)
    side = square_side("image_size", shape.image_size)
    if not kind.any_size and size != side:
        raise InputError(
            f"model.image.image_size is {size}, {key} {name!r} takes {side} px; leave model.image.image_size out, or "
            f"set it to {side}"
        )
    (rows, columns), _ = map_shape(shape, size)
    if regions is not None and regions > rows * columns:
        raise InputError(
            f"supervision.regions is {regions}; allowed are 1 to {rows * columns}, the cells of the {rows}×{columns} "
            f"map of {key} {name!r} at {size} px; lower it"
        )
    if recomputes and not kind.recomputes:
        raise InputError(
            f"engine.activation_checkpointing is true, {key} {name!r} is a {shape.model_type}, which cannot recompute "
            "its activations; set engine.activation_checkpointing=false"
        )
    if model.image.train.from_step is None:
        _check_weights(name, IMAGE, "vision_config")


def _check_text(model: ModelConfig, tokenizer: str, words_are_read: Sequence[str]) -> None:
    from pretrain.models.published_towers import is_whole, published_config
    from pretrain.models.text_kinds import check_tokenizer, text_kind

    name, key = model.text.pretrained, _text_key(model)
    assert name is not None
    shape = published_config(name, key, "text_config")
    kind = text_kind(shape)
    if not kind.projected and model.pretrained is None:
        whole = f"model.pretrained={name}" if is_whole(name, key) else "model.pretrained to a whole SigLIP"
        raise InputError(
            f"{key} {name!r} is a {shape.model_type}, which no stock class pairs with another image tower; set {whole} "
            "instead, or give another text tower"
        )
    if not kind.projected and model.image.train.is_locked(0) and model.text.train.is_locked(0):
        raise InputError(
            f"model.image.train.from_step and model.text.train.from_step lock both towers of {key} {name!r}, which has "
            "no projections beside them: nothing would learn; let one of the towers learn from step 0 on"
        )
    if kind.reads_padding and words_are_read:
        raise InputError(
            f"{key} {name!r} is a {shape.model_type}, which reads its padding as words, and the recipe has "
            f"{', '.join(words_are_read)}, which read words or phrases; leave them out, or give another text tower"
        )
    longest = kind.most_tokens(shape)
    if model.text.max_tokens > longest:
        raise InputError(
            f"model.text.max_tokens is {model.text.max_tokens}, {key} {name!r} takes {longest} at most; set "
            f"model.text.max_tokens={longest}, or leave it out"
        )
    check_tokenizer(shape, load_tokenizer(tokenizer), f"{key} {name!r}")
    if model.text.train.from_step is None:
        _check_weights(name, TEXT, "text_config")


def _check_weights(name: str, field: str, half: Half) -> None:
    """Raise InputError where a tower that is locked for ever lacks weights."""
    from pretrain.models.published_towers import published_tower

    published_tower(name, field, half, locked=True)


def _text_key(model: ModelConfig) -> str:
    return TEXT if model.pretrained is None else "model.pretrained"
