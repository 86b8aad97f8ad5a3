"""Recipes: overrides, and one clear line for every mistake."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

import pipelines
import pipelines.curate.config
from cluster.recipes import load_recipe, shipped_recipes
from data_filters.errors import InputError
from pipelines.common.config import config_hash


class Engine(BaseModel):
    model_config = ConfigDict(extra="forbid")
    zero_stage: int = Field(0, ge=0, le=3)
    dtype: str = "fp32"
    device: str = Field("cpu", json_schema_extra={"affects_output": False})


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid")
    engine: Engine = Engine()
    teacher: Engine | None = None
    weights: dict[str, float] = {}
    steps: int = 10
    warmup: int = 0
    workers: int = Field(1, json_schema_extra={"affects_output": False})

    @model_validator(mode="after")
    def _cross_check(self):
        if self.warmup > self.steps:
            raise ValueError(f"warmup is {self.warmup}, above steps {self.steps}; lower warmup")
        return self


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text("steps: 20\nengine: {dtype: bf16}\n")
    (tmp_path / "large.yaml").write_text("")
    return tmp_path


def test_name_path_and_overrides(shipped: Path):
    assert load_recipe(Recipe, shipped, "large") == Recipe()
    recipe = load_recipe(
        Recipe,
        shipped,
        "small",
        ["engine.zero_stage=2", "teacher.dtype=fp16", "weights.fsa=5e-1", "warmup = 3", "workers=10"],
    )
    assert (recipe.steps, recipe.warmup, recipe.workers) == (20, 3, 10)
    assert recipe.engine == Engine(zero_stage=2, dtype="bf16")
    assert recipe.teacher == Engine(dtype="fp16")
    assert recipe.weights == {"fsa": 0.5}
    assert load_recipe(Recipe, "/nowhere", str(shipped / "small.yaml")).steps == 20


@pytest.mark.parametrize(
    ("name", "sets", "expected"),
    [
        ("smal", [], "unknown recipe 'smal'; did you mean small? shipped are large, small; or give the path"),
        ("./none.yaml", [], "recipe file ./none.yaml does not exist; shipped recipes are large, small"),
        ("small", ["step=3"], "--set step=3: unknown key step; did you mean steps?"),
        ("small", ["engine.zero_stag=3"], "unknown key engine.zero_stag; did you mean engine.zero_stage?"),
        ("small", ["engine.qqqq=3"], "unknown key engine.qqqq; known are zero_stage, dtype, device"),
        ("small", ["teacher.zero_stag=3"], "unknown key teacher.zero_stag; did you mean teacher.zero_stage?"),
        ("small", ["engine.zero_stage=4"], "engine.zero_stage is 4; input should be less than or equal to 3"),
        ("small", ["steps=many"], "steps is 'many'; input should be a valid integer"),
        ("small", ["steps.x=1"], "--set steps.x=1: steps has no keys below it; write --set steps=value"),
        ("small", ["steps"], "--set 'steps' is no assignment; write --set key=value"),
        ("small", ["steps=[1"], "the value is no YAML"),
        ("small", ["warmup=30"], "warmup is 30, above steps 20; lower warmup"),
    ],
)
def test_mistakes_are_one_clear_line(shipped: Path, name, sets, expected):
    with pytest.raises(InputError, match=re.escape(expected)) as raised:
        load_recipe(Recipe, shipped, name, sets)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("engine: {zerostage: 1}", "unknown key engine.zerostage; did you mean engine.zero_stage?"),
        ("teacher: {zerostage: 1}", "unknown key teacher.zerostage; did you mean teacher.zero_stage?"),
        ("stepz: 1\nsteps: x", "unknown key stepz; did you mean steps? (and 1 more mistake)"),
        ("steps: [", "is no YAML"),
        ("- 1", "holds a list; expected keys with values"),
        ("engine: 3", "engine is 3; input should be a valid dictionary or instance of Engine"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text, expected):
    file = tmp_path / "r.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=re.escape(expected)) as raised:
        load_recipe(Recipe, tmp_path, file)
    assert "\n" not in str(raised.value)
    assert str(file) in str(raised.value)


def test_hash_follows_what_decides_the_output_and_nothing_else():
    assert config_hash(Recipe()) == config_hash(Recipe(steps=10, workers=7, engine=Engine(device="cuda")))
    different = [Recipe(steps=11), Recipe(engine=Engine(dtype="bf16")), Recipe(weights={"a": 1})]
    assert len({config_hash(one) for one in [Recipe(), *different]}) == 4


@pytest.mark.parametrize("name", ["icon_world", "loupe_paper", "openstax"])
def test_shipped_curation_recipes_are_valid(name):
    folder = Path(pipelines.__file__).parent / "recipes"
    assert name in shipped_recipes(folder)
    config = load_recipe(pipelines.curate.config.CurateConfig, folder, name)
    if name == "loupe_paper":
        assert (config.min_side, config.max_aspect, config.min_words, config.max_words) == (200, 10, 3, 100)


class Matcher(Recipe):
    task: str = "matcher"
    margin: float = 0.2


class Plain(Recipe):
    task: str = "plain"


def pick(values):
    return {"matcher": Matcher, "plain": Plain}[values.get("task", "plain")]


def test_a_function_picks_the_class_by_values_and_overrides(shipped: Path):
    assert type(load_recipe(pick, shipped, "small")) is Plain
    (shipped / "match.yaml").write_text("task: matcher\nmargin: 0.5\n")
    assert load_recipe(pick, shipped, "match", ["steps=3"]) == Matcher(margin=0.5, steps=3)
    # The class follows from all overrides, whatever their order.
    assert load_recipe(pick, shipped, "small", ["margin=0.4", "task=matcher"]).margin == 0.4
    with pytest.raises(InputError, match="unknown key margn; did you mean margin"):
        load_recipe(pick, shipped, "match", ["margn=1"])
    with pytest.raises(InputError, match="unknown key margin"):
        load_recipe(pick, shipped, "match", ["task=plain", "margin=1"])
    with pytest.raises(InputError, match="is no assignment"):
        load_recipe(pick, shipped, "match", ["task"])


@pytest.mark.parametrize(
    ("sets", "line"),
    [
        (
            ["engine.zero_stage=9"],
            "--set: engine.zero_stage is 9; .*; give another --set engine.zero_stage=value",
        ),
        (["engine={zero_stage: 9}"], "--set: engine.zero_stage is 9"),
        (["engine.zero_stage=1", "teacher.zero_stage=9"], "--set: teacher.zero_stage is 9"),
        (["engine={}", "weights.fsa=x"], "--set: weights.fsa is 'x'"),
        (["engine={}", "weights={fsa: x}"], "--set: weights.fsa is 'x'"),
        (
            ["engine.dtype=bf16"],
            r"recipe .*bad.yaml: engine.zero_stage is 7; .*; set it in the recipe, or give --set",
        ),
        (
            ["engine={}", "steps=0", "warmup=1"],
            "recipe .*bad.yaml: ",
        ),  # a check across keys names them itself
    ],
)
def test_a_wrong_value_is_blamed_on_where_it_stands(shipped, sets, line):
    (shipped / "bad.yaml").write_text("engine: {zero_stage: 7}\n")
    with pytest.raises(InputError, match=f"^{line}"):
        load_recipe(Recipe, shipped, "bad", sets)
