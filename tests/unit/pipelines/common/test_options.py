"""Every key of a configuration: expected rows by hand, and each printed default put back in as an override."""

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from pipelines.common.config import one_of
from pipelines.common.explain import from_assignments
from pipelines.common.options import describe, type_text
from pipelines.curate.config import CurateConfig
from pipelines.phrases.config import PhrasesConfig
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

BODIES = {"a": 1, "b": 2}


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Tower(BaseModel):
    """An encoder.

    More about it.
    """

    kind: Literal["swin", "vit"] = Field("swin", description="architecture")
    body: Annotated[str, one_of(BODIES)] = "a"
    depths: tuple[int, ...] = (2, 2)
    width: int = Field(96, ge=8, lt=4096, description="channels")


class Row(BaseModel):
    title: str = Field(description="heading")
    tower: Tower | None = None


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tower: Tower = Tower(width=64)
    teacher: Tower | None = Field(None, description="null: none")
    rows: dict[str, Row] = Field(default_factory=dict, description="by name")
    steps: Annotated[int, Field(gt=0)] | None = Field(None, le=9, description="optimiser steps")
    stages: tuple[Row, ...] = ()
    workers: int = Field(1, description="processes", json_schema_extra={"affects_output": False})


def rows() -> dict[str, tuple[str, str, str, str]]:
    return {
        option.key: (option.type, option.limits, option.default_text, option.description)
        for option in describe(Recipe)
    }


def test_every_key_with_type_limits_default_and_description():
    assert rows() == {
        "tower": ("section", "", "null", "An encoder."),
        "tower.kind": ("one of swin, vit", "", "swin", "architecture"),
        "tower.body": ("one of a, b", "", "a", ""),
        "tower.depths": ("list of integers", "", "[2, 2]", ""),
        "tower.width": ("integer", ">= 8, < 4096", "64", "channels"),
        "teacher": ("section or null", "", "null", "null: none"),
        "teacher.kind": ("one of swin, vit", "", "swin", "architecture"),
        "teacher.body": ("one of a, b", "", "a", ""),
        "teacher.depths": ("list of integers", "", "[2, 2]", ""),
        "teacher.width": ("integer", ">= 8, < 4096", "96", "channels"),
        "rows": ("mapping of names to sections", "", "{}", "by name"),
        "rows.NAME.title": ("text", "", "required", "heading"),
        "rows.NAME.tower": ("section or null", "", "null", "An encoder."),
        "rows.NAME.tower.kind": ("one of swin, vit", "", "swin", "architecture"),
        "rows.NAME.tower.body": ("one of a, b", "", "a", ""),
        "rows.NAME.tower.depths": ("list of integers", "", "[2, 2]", ""),
        "rows.NAME.tower.width": ("integer", ">= 8, < 4096", "96", "channels"),
        "steps": ("integer or null", "<= 9", "null", "optimiser steps"),
        "stages": ("list of sections", "", "[]", ""),
        "stages.N.title": ("text", "", "required", "heading"),
        "stages.N.tower": ("section or null", "", "null", "An encoder."),
        "stages.N.tower.kind": ("one of swin, vit", "", "swin", "architecture"),
        "stages.N.tower.body": ("one of a, b", "", "a", ""),
        "stages.N.tower.depths": ("list of integers", "", "[2, 2]", ""),
        "stages.N.tower.width": ("integer", ">= 8, < 4096", "96", "channels"),
        "workers": ("integer", "", "1", "processes"),
    }


def test_what_stands_below_a_key_and_what_decides_the_output():
    options = {option.key: option for option in describe(Recipe)}
    assert {key for key, option in options.items() if option.is_section} == {
        key for key in options if any(other.startswith(f"{key}.") for other in options)
    }
    assert {key for key, option in options.items() if not option.has_own_default} == {"tower"}
    assert {key for key, option in options.items() if not option.affects_output} == {"workers"}


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "integer"),
        (bool, "true or false"),
        (Any, "any value"),
        (float | None, "number or null"),
        (Colour, "one of red, blue"),
        (tuple[float, float], "list of 2 numbers"),
        (tuple[int, str], "list of integer, text"),
        (list[Literal["a", "b"]], "list of (one of a, b)"),
        (dict[str, Any], "mapping"),
        (dict[str, float], "mapping of names to numbers"),
        (dict, "mapping"),
        (Annotated[str, "note"], "text"),
        (Annotated[str, one_of(BODIES)], "one of a, b"),
        (Annotated[str | None, one_of(BODIES)], "one of a, b or null"),
        (tuple[Annotated[str, one_of(BODIES)], ...], "list of (one of a, b)"),
    ],
)
def test_types_in_words(annotation, text):
    assert type_text(annotation) == text


class Branch(BaseModel):
    """A section that may hold itself."""

    name: str = ""
    below: "Branch | None" = None


def test_a_section_that_holds_itself_ends():
    assert [option.key for option in describe(Branch)][:2] == ["name", "below"]
    assert all(option.key.count("below") <= 2 for option in describe(Branch))


@pytest.mark.parametrize("model_class", [Recipe, CurateConfig, PhrasesConfig, DualEncoderConfig])
def test_a_printed_default_is_what_the_key_has(model_class):
    """`--set KEY=DEFAULT` is accepted and leaves the key at that value."""
    tried = 0
    for option in describe(model_class):
        parts = option.key.split(".")
        if option.required or not option.has_own_default or {"NAME", "N"} & set(parts):
            continue
        # An objective by itself is no recipe: each is set beside the contrastive one.
        beside = ["objectives.contrastive={}"] if parts[0] == "objectives" else []
        sets = [*beside, f"{option.key}={option.default_text}"]
        value: object = from_assignments(model_class, sets).model_dump(mode="json")
        for part in parts:
            assert isinstance(value, dict)
            value = value.get(part)  # what is null is left out of the record
        assert value == option.default
        tried += 1
    assert tried >= 6


@pytest.mark.parametrize("model_class", [CurateConfig, PhrasesConfig, DualEncoderConfig])
def test_every_key_of_a_shipped_recipe_says_what_it_means(model_class):
    assert [option.key for option in describe(model_class) if not option.description] == []
