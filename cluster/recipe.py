"""A recipe: a shipped name or a YAML file, with overrides, made into a closed and checked configuration.

Every mistake is one line: the field, what was received, what is allowed, how to mend.
"""

import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from data_filters.sample import InputError
from pipelines.manifest import config_hash

__all__ = ["config_hash", "from_sets", "load_recipe", "shipped_recipes"]

Model = TypeVar("Model", bound=BaseModel)


def load_recipe(
    model_class: type[Model], shipped_dir: str | Path, name_or_path: str | Path, sets: list[str] | None = None
) -> Model:
    """Read a recipe and check it against `model_class`.

    `name_or_path` is the name of a file in `shipped_dir` (without .yaml) or the path of a YAML file; `sets`
    are overrides `a.b=value`, where value is read as YAML. An empty file is a recipe of defaults.

    Raises InputError on anything that the user has to mend.
    """
    path = _find(Path(shipped_dir), str(name_or_path))
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path} is no YAML: {_one_line(error)}; mend the file") from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InputError(
            f"recipe {path} holds a {type(values).__name__}; expected keys with values, such as `seed: 0`"
        )
    for assignment in sets or []:
        _override(model_class, values, assignment)
    return _validated(model_class, values, f"recipe {path}")


def from_sets(model_class: type[Model], sets: list[str] | None) -> Model:
    """A model of defaults with the overrides `a.b=value`. Raises InputError on anything that the user has to mend."""
    values: dict[str, Any] = {}
    for assignment in sets or []:
        _override(model_class, values, assignment)
    return _validated(model_class, values, "--set")


def shipped_recipes(shipped_dir: str | Path) -> list[str]:
    """Names of the recipes in a folder."""
    return sorted(path.stem for path in Path(shipped_dir).glob("*.yaml"))


def _validated(model_class: type[Model], values: dict[str, Any], where: str) -> Model:
    try:
        return model_class.model_validate(values)
    except ValidationError as error:
        raise InputError(_explain(model_class, error, where)) from error


def _find(shipped_dir: Path, wanted: str) -> Path:
    names = shipped_recipes(shipped_dir)
    if wanted in names:
        return shipped_dir / f"{wanted}.yaml"
    path = Path(wanted)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise InputError(f"recipe file {wanted} does not exist; shipped recipes are {', '.join(names)}")
    near = difflib.get_close_matches(wanted, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(
        f"unknown recipe {wanted!r}; {hint}shipped are {', '.join(names)}; or give the path of a YAML file"
    )


def _override(model_class: type[BaseModel], values: dict[str, Any], assignment: str) -> None:
    """Set `a.b=value` in nested mappings."""
    dotted, equals, text = assignment.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys):
        raise InputError(
            f"--set {assignment!r} is no assignment; write --set key=value, such as --set seed=1"
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {assignment!r}: the value is no YAML ({_one_line(error)})") from error
    # Checked here as well, since descending below an unknown or a plain key would hide the mistake.
    parent: type[BaseModel] | None = model_class
    for depth, key in enumerate(keys, start=1):
        if parent is None:  # inside a free mapping, whose keys are its own
            break
        if key not in _field_names(parent):
            raise InputError(_unknown_key(parent, ".".join(keys[: depth - 1]), key, f"--set {assignment}"))
        annotation = _field_annotation(parent, key)
        if depth < len(keys) and not _is_mapping(annotation):
            name = ".".join(keys[:depth])
            raise InputError(f"--set {assignment}: {name} has no keys below it; write --set {name}=value")
        below = _models_in(annotation)
        # The keys of a mapping of models are free; what is below them is checked with the whole.
        parent = below[0] if len(below) == 1 and get_origin(annotation) is not dict else None
    here = values
    for key in keys[:-1]:
        if not isinstance(here.get(key), dict):
            here[key] = {}
        here = here[key]
    here[keys[-1]] = value


def _explain(model_class: type[BaseModel], error: ValidationError, where: str) -> str:
    """The first mistake in full, and how many more there are."""
    problems = error.errors()
    # An unknown key is the likeliest cause of the others (a field that is missing under its right name).
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    line = _explain_one(model_class, problems[0], where)
    more = len(problems) - 1
    return line + (f" (and {more} more mistake{'s' if more > 1 else ''})" if more else "")


def _explain_one(model_class: type[BaseModel], problem: ErrorDetails, where: str) -> str:
    location = [str(part) for part in problem["loc"]]
    name = ".".join(location)
    if problem["type"] == "extra_forbidden":
        parent = _model_at(model_class, location[:-1])
        return _unknown_key(parent, ".".join(location[:-1]), location[-1], where)
    if problem["type"] == "missing":
        return f"{where}: {name} is missing; add it to the recipe, or give --set {name}=value"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not name:  # a check across fields, which names them itself
        return f"{where}: {_one_line(message)}"
    allowed = message[0].lower() + message[1:]
    return (
        f"{where}: {name} is {_short(problem['input'])}; {_one_line(allowed)}; "
        f"mend it in the recipe, or give --set {name}=value"
    )


def _unknown_key(parent: type[BaseModel] | None, above: str, key: str, where: str) -> str:
    known = _field_names(parent) if parent else []
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    dotted = f"{above}." if above else ""
    if near:
        return f"{where}: unknown key {dotted}{key}; did you mean {dotted}{near[0]}?"
    return f"{where}: unknown key {dotted}{key}; known are {', '.join(known) or 'none'}"


# --- what a model's fields are ------------------------------------------------------------------------


def _field_names(model_class: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model_class.model_fields.items()]


def _field_annotation(model_class: type[BaseModel], key: str) -> Any:
    for name, field in model_class.model_fields.items():
        if key in (name, field.alias):
            return field.annotation
    return None


def _model_at(model_class: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    """The model that the keys lead to; a part that is no field (a list's index) stays in place."""
    here = model_class
    for part in location:
        annotation = _field_annotation(here, part)
        if annotation is None:
            tagged = [model for model in _models_in(here) if model.__name__ == part]
            here = tagged[0] if tagged else here
            continue
        below = _models_in(annotation)
        if not below:
            return None
        here = below[0]
    return here


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models inside an annotation, through Optional, unions, lists and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _is_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return any(_is_mapping(inner) for inner in get_args(annotation))
    return annotation is Any or annotation is dict or origin is dict or bool(_models_in(annotation))


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _short(value: object) -> str:
    shown = _one_line(repr(value))
    return shown if len(shown) <= 80 else shown[:77] + "..."
