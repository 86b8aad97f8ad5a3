"""Explains mistakes in a configuration, each in one line: the field, what was received, what is allowed, how to mend.

This is the one place that reads assignments `a.b=value` and turns pydantic's errors into sentences.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from data_filters.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
Values = dict[str, Any]  # a recipe as YAML gives it, before it is checked
Remedy = Callable[[str], str]
"""A key's dotted name → what the user has to do about its value, the last part of the line."""
Where = Callable[[str], str]
"""A key's dotted name → where its value comes from, the first part of the line."""


def set_key(name: str) -> str:
    """The remedy where values come from `--set` or from Python: `set a.b=value`."""
    return f"set {name}=value"


def set_in_recipe(name: str) -> str:
    """The remedy where values come from a recipe."""
    return f"set it in the recipe, or give --set {name}=value"


def validate(model_class: type[Model], values: Values, where: str | Where, remedy: Remedy = set_key) -> Model:
    """Check `values` and make a `model_class`; `where` begins the line of an error ("recipe x.yaml", "--set").

    `where` may be a function of the key's dotted name, for values that come from several places.

    Raises InputError with the first mistake in full, `remedy` of its key, and the number of the others.
    """
    try:
        return model_class.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(model_class, error, where, remedy)) from error


def from_assignments(
    model_class: type[Model], sets: list[str] | None, where: str = "--set", remedy: Remedy = set_key
) -> Model:
    """Make a model of defaults with the overrides `a.b=value`. Raises InputError on the user's mistakes."""
    values: Values = {}
    for assignment in sets or []:
        override(model_class, values, assignment)
    return validate(model_class, values, where, remedy)


def override(model_class: type[BaseModel], values: Values, assignment: str) -> None:
    """Set `a.b=value` in nested mappings of values for `model_class`; the value is read as YAML.

    Raises InputError for what is no assignment, an unknown key, or a key below a plain value.
    """
    dotted, equals, text = assignment.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or not all(keys):
        raise InputError(
            f"--set {assignment!r} is no assignment; write --set key=value, such as --set seed=1"
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {assignment!r}: the value is no YAML ({one_line(error)})") from error
    # Keys are checked here as well, since setting a value below an unknown or a plain key would hide the mistake.
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
        models = _models_in(annotation)
        # The keys of a mapping of models are free; what is below them is checked by `validate`.
        parent = models[0] if len(models) == 1 and get_origin(annotation) is not dict else None
    mapping = values
    for key in keys[:-1]:
        if not isinstance(mapping.get(key), dict):
            mapping[key] = {}
        mapping = mapping[key]
    mapping[keys[-1]] = value


def explain(
    model_class: type[BaseModel], error: ValidationError, where: str | Where, remedy: Remedy = set_key
) -> str:
    """Explain the first mistake in full, and say how many more there are."""
    problems = error.errors()
    # An unknown key is the likeliest cause of the others (a field that is missing under its right name).
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    line = _explain_one(model_class, problems[0], where, remedy)
    more = len(problems) - 1
    return line + (f" (and {more} more mistake{'s' if more > 1 else ''})" if more else "")


def _explain_one(
    model_class: type[BaseModel], problem: ErrorDetails, place: str | Where, remedy: Remedy
) -> str:
    location = [str(part) for part in problem["loc"]]
    parent = _model_at(model_class, location[:-1])
    location = _without_tags(model_class, location)
    name = ".".join(location)
    where = place if isinstance(place, str) else place(name)
    if problem["type"] == "extra_forbidden":
        return _unknown_key(parent, ".".join(location[:-1]), location[-1], where)
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _unknown_tag(name, problem, where, remedy)
    if problem["type"] == "missing":
        return f"{where}: {name} is missing; {remedy(name)}"
    message = _message(problem)
    if not name:  # a check across fields, whose message names them
        return f"{where}: {one_line(message)}"
    allowed = message[0].lower() + message[1:]
    return f"{where}: {name} is {_short(problem['input'])}; {one_line(allowed)}; {remedy(name)}"


def _message(problem: ErrorDetails) -> str:
    """What is allowed, in the terms of YAML: pydantic speaks of tuples and dictionaries."""
    if problem["type"] in ("tuple_type", "list_type"):
        return "allowed is a list, such as [a, b]"
    if problem["type"] == "dict_type":
        return "allowed are keys with values, such as {a: 1}"
    if problem["type"] == "too_short":
        return f"allowed is a list of at least {problem['ctx']['min_length']}"
    return problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _unknown_tag(name: str, problem: ErrorDetails, where: str, remedy: Remedy) -> str:
    """Explain the key that says which of several models a section is, where it is missing or unknown."""
    context = problem.get("ctx", {})
    key = f"{name}.{str(context.get('discriminator', 'kind')).strip(chr(39))}"
    if problem["type"] == "union_tag_not_found":
        return f"{where}: {key} is missing; {remedy(key)}"
    known = str(context.get("expected_tags", "")).replace("'", "")
    return f"{where}: {key} is {_short(context.get('tag'))}; known are {known}; {remedy(key)}"


def _without_tags(model_class: type[BaseModel], location: list[str]) -> list[str]:
    """The keys as the user writes them: pydantic names, behind a section that is one of several models, which it is."""
    kept: list[str] = []
    model, choice = model_class, list[type[BaseModel]]()
    is_free = False  # whether the next part is a name of the user's, which may be that of a tag
    for part in location:
        if not is_free and choice and (tagged := _tagged(choice, part)):
            model, choice = tagged, []
            continue
        kept.append(part)
        if is_free:
            is_free = False
            continue
        annotation = _field_annotation(model, part)
        is_free = get_origin(annotation) is dict
        models = _models_in(annotation)
        if models:
            model, choice = models[0], models if len(models) > 1 else []
    return kept


def _unknown_key(parent: type[BaseModel] | None, above: str, key: str, where: str) -> str:
    known = _field_names(parent) if parent else []
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    dotted = f"{above}." if above else ""
    if near:
        return f"{where}: unknown key {dotted}{key}; did you mean {dotted}{near[0]}?"
    return f"{where}: unknown key {dotted}{key}; known are {', '.join(known) or 'none'}"


def _field_names(model_class: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model_class.model_fields.items()]


# Any: an annotation is a type, a union or a generic alias; Python has no common type for them.
def _field_annotation(model_class: type[BaseModel], key: str) -> Any:
    for name, field in model_class.model_fields.items():
        if key in (name, field.alias):
            return field.annotation
    return None


def _model_at(model_class: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    """The model that the keys lead to; a key that is no field (an index of a list) does not descend."""
    model: type[BaseModel] = model_class
    choice: list[type[BaseModel]] = []
    is_free = False  # whether the next part is a name of the user's, which may be that of a tag
    for part in location:
        if is_free:
            is_free = False
            continue
        if choice and (tagged := _tagged(choice, part)):
            model, choice = tagged, []
            continue
        annotation = _field_annotation(model, part)
        if annotation is None:
            continue
        is_free = get_origin(annotation) is dict
        models = _models_in(annotation)
        if not models:
            return None
        model, choice = models[0], models if len(models) > 1 else []
    return model


def _tagged(models: list[type[BaseModel]], tag: str) -> type[BaseModel] | None:
    """The model among several that has a field for which `tag` is the only value."""
    for model in models:
        if any(get_args(field.annotation) == (tag,) for field in model.model_fields.values()):
            return model
    return None


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


def one_line(text: object) -> str:
    """The text on one line, runs of white space as one blank."""
    return " ".join(str(text).split())


def _short(value: object) -> str:
    shown = one_line(repr(value))
    return shown if len(shown) <= 80 else shown[:77] + "..."
