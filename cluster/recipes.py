"""A recipe: a shipped name or a YAML file, with overrides, made into a closed and checked configuration.

Every mistake is one line: the field, what was received, what is allowed, how to mend.
"""

import difflib
from pathlib import Path

import yaml

from data_filters.errors import InputError
from pipelines.common.explain import Model, one_line, override, validate


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
        raise InputError(f"recipe {path} is no YAML: {one_line(error)}; mend the file") from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InputError(
            f"recipe {path} holds a {type(values).__name__}; expected keys with values, such as `seed: 0`"
        )
    for assignment in sets or []:
        override(model_class, values, assignment)
    return validate(model_class, values, f"recipe {path}")


def shipped_recipes(shipped_dir: str | Path) -> list[str]:
    """Names of the recipes in a folder."""
    return sorted(path.stem for path in Path(shipped_dir).glob("*.yaml"))


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
