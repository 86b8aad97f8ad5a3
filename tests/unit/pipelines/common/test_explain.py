"""Assignments land where they belong, and each mistake is one line that names the mend."""

import re
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from data_filters.errors import InputError
from pipelines.common.config import Section
from pipelines.common.explain import explain, from_assignments, one_line, override, set_in_recipe, validate


class Engine(Section):
    zero_stage: int = Field(0, ge=0, le=3)
    name: str = "plain"


class Settings(Section):
    engine: Engine = Engine()
    spare: Engine | None = None
    engines: dict[str, Engine] = Field(default_factory=dict)
    weights: dict[str, float] = Field(default_factory=dict)
    stages: tuple[Engine, ...] = ()
    needed: int = 1


class Circle(Section):
    kind: Literal["circle"]
    radius: float = Field(1.0, gt=0)


class Square(Section):
    kind: Literal["square"]
    side: int = 1
    engine: Engine = Engine()


class Shapes(Section):
    shapes: dict[str, Annotated[Circle | Square, Field(discriminator="kind")] | None] = Field(
        default_factory=dict
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            {"kind": "oval"},
            "here: shapes.a.kind is 'oval'; known are circle, square; set shapes.a.kind=value",
        ),
        ({"radius": 2}, "here: shapes.a.kind is missing; set shapes.a.kind=value"),
        (
            {"kind": "circle", "radious": 2},
            "here: unknown key shapes.a.radious; did you mean shapes.a.radius?",
        ),
        ({"kind": "square", "radius": 2}, "here: unknown key shapes.a.radius; known are kind, side, engine"),
        (
            {"kind": "circle", "radius": 0},
            "here: shapes.a.radius is 0; input should be greater than 0; set shapes.a.radius=value",
        ),
        (
            {"kind": "square", "engine": {"zero_stag": 1}},
            "here: unknown key shapes.a.engine.zero_stag; did you mean shapes.a.engine.zero_stage?",
        ),
    ],
)
def test_a_mistake_in_one_of_several_sections_is_named_by_the_user_s_keys(shape, expected):
    with pytest.raises(InputError) as raised:
        validate(Shapes, {"shapes": {"a": shape}}, "here")
    assert str(raised.value) == expected


def test_one_of_several_sections_may_be_chosen_by_assignments():
    chosen = from_assignments(
        Shapes, ["shapes.a.kind=square", "shapes.a.engine.zero_stage=2", "shapes.b=null"]
    )
    assert chosen == Shapes(shapes={"a": Square(kind="square", engine=Engine(zero_stage=2)), "b": None})


def test_values_are_yaml_and_land_at_their_dotted_key():
    values: dict[str, object] = {"engine": {"name": "x"}, "spare": 3}
    for assignment in [
        "engine.zero_stage=2",
        " needed = 0x10 ",
        "weights.a.b=1e-1",
        "spare.name=null",
        "engines.any.zero_stage=1",
    ]:
        override(Settings, values, assignment)
    assert values == {
        "engine": {"name": "x", "zero_stage": 2},
        "needed": 16,
        "weights": {
            "a": {"b": "1e-1"}
        },  # YAML 1.1 wants a dot in a float; pydantic reads the text as a number
        "spare": {"name": None},
        "engines": {"any": {"zero_stage": 1}},
    }


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("needed", "--set 'needed' is no assignment; write --set key=value"),
        (".a=1", "is no assignment"),
        ("needed=[", "the value is no YAML"),
        ("nedded=1", "--set nedded=1: unknown key nedded; did you mean needed?"),
        ("engine.qqqq=1", "unknown key engine.qqqq; known are zero_stage, name"),
        ("needed.x=1", "needed has no keys below it; write --set needed=value"),
    ],
)
def test_an_assignment_that_will_not_do_is_one_line(assignment, expected):
    values: dict[str, object] = {}
    with pytest.raises(InputError, match=re.escape(expected)) as raised:
        override(Settings, values, assignment)
    assert "\n" not in str(raised.value)
    assert values == {}


def test_assignments_alone_make_a_model():
    assert from_assignments(Settings, None) == Settings()
    assert from_assignments(Settings, ["engine.zero_stage=3", "weights={a: 1}"]) == Settings(
        engine=Engine(zero_stage=3), weights={"a": 1.0}
    )
    with pytest.raises(InputError, match=r"--set: engine\.zero_stage is 4; input should be less than"):
        from_assignments(Settings, ["engine.zero_stage=4"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"engine": {"zero_stag": 1}}, "here: unknown key engine.zero_stag; did you mean engine.zero_stage?"),
        ({"engines": {"a": {"nam": 1}}}, "did you mean engines.a.name?"),
        ({"stages": [{"nam": 1}]}, "did you mean stages.0.name?"),
        ({"needed": "x" * 200, "engin": 1}, "did you mean engine? (and 1 more mistake)"),
        ({"engine": 1, "needed": None, "weights": 1}, "(and 2 more mistakes)"),
    ],
)
def test_validation_names_the_first_mistake_and_counts_the_others(values, expected):
    with pytest.raises(InputError, match=re.escape(expected)) as raised:
        validate(Settings, values, "here")
    assert "\n" not in str(raised.value)


def test_a_long_value_is_shortened_and_a_missing_one_named():
    with pytest.raises(InputError) as raised:
        validate(Settings, {"needed": "y" * 500}, "here")
    assert len(str(raised.value)) < 300
    assert "yyy..." in str(raised.value)

    class Strict(Section):
        must: int

    with pytest.raises(ValidationError) as error:
        Strict.model_validate({})
    assert explain(Strict, error.value, "file") == "file: must is missing; set must=value"


def test_the_last_part_of_the_line_is_the_callers_remedy():
    with pytest.raises(
        InputError, match=r"greater than or equal to 0; set it in the recipe, or give --set engine"
    ):
        validate(Settings, {"engine": {"zero_stage": -1}}, "recipe x.yaml", set_in_recipe)
    with pytest.raises(InputError, match=r"^--set: engine\.zero_stage .*; set engine\.zero_stage=value$"):
        from_assignments(Settings, ["engine.zero_stage=-1"])
    with pytest.raises(InputError, match=r"^here: engine\.zero_stage .*; give --zero-stage$"):
        from_assignments(Settings, ["engine.zero_stage=-1"], "here", lambda name: "give --zero-stage")


def test_one_line():
    assert one_line("  a\n\tb  c ") == "a b c"
