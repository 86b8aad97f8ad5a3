"""A recipe: a shipped name or a YAML file, with overrides, made into a closed and checked configuration.

Every mistake is one line: the field, what was received, what is allowed, how to mend.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from data_filters.errors import InputError
from pipelines.common.explain import Model, one_line, override, set_in_recipe, validate

# Values of a recipe are Any: what they are is what validation finds out.
Values = dict[str, Any]


def load_recipe(
    model_class: type[Model] | Callable[[Mapping[str, Any]], type[Model]],
    shipped_dir: str | Path,
    name_or_path: str | Path,
    sets: list[str] | None = None,
) -> Model:
    """Read a recipe and check it against `model_class`.

    `model_class` may be a function that picks the class from the recipe's values, overrides of top-level keys included.
    `name_or_path` is the name of a file in `shipped_dir` (without .yaml) or the path of a YAML file. `sets` are
    overrides `a.b=value`, where value is read as YAML. An empty file is a recipe of defaults.

    Raises InputError on anything that the user has to mend.
    """
    path = find_recipe(shipped_dir, name_or_path)
    values = read_values(path)
    if not isinstance(model_class, type):
        model_class = model_class(values | _top_level(sets or []))
    for assignment in sets or []:
        override(model_class, values, assignment)
    return validate(
        model_class,
        values,
        lambda name: "--set" if _is_set(name, sets or []) else f"recipe {path}",
        lambda name: f"give another --set {name}=value" if _is_set(name, sets or []) else set_in_recipe(name),
    )


def _is_set(name: str, sets: list[str]) -> bool:
    """Whether the value of a key (dotted), or one above or below it, comes from an override."""
    for assignment in sets:
        key = assignment.partition("=")[0].strip()
        if key and (f"{name}.".startswith(f"{key}.") or f"{key}.".startswith(f"{name}.")):
            return True
    return False


def read_values(path: Path) -> Values:
    """The keys and values of a recipe file, unchecked. Raises InputError where it is no YAML mapping."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path} is no YAML: {one_line(error)}; mend the file") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(
            f"recipe {path} holds a {type(values).__name__}; expected keys with values, such as `seed: 0`"
        )
    return values


def _top_level(sets: list[str]) -> Values:
    """The overrides of keys without a dot. What cannot be read is left to `override`, which says why."""
    values: Values = {}
    for assignment in sets:
        key, equals, text = assignment.partition("=")
        if not equals or "." in key:
            continue
        try:
            values[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
    return values


def shipped_recipes(shipped_dir: str | Path) -> list[str]:
    """Names of the recipes in a folder."""
    return sorted(path.stem for path in Path(shipped_dir).glob("*.yaml"))


def find_recipe(shipped_dir: str | Path, name_or_path: str | Path) -> Path:
    """The file of a shipped name or of a path. Raises InputError with the nearest shipped name where there is none."""
    folder, wanted = Path(shipped_dir), str(name_or_path)
    names = shipped_recipes(folder)
    if wanted in names:
        return folder / f"{wanted}.yaml"
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
