"""Options that are more than a word: `--set KEY=VALUE` for a plain function, and lists as a,b."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

import yaml

from data_filters.errors import InputError


def keyword_options(function: Callable[..., Any], sets: list[str] | None, taken: set[str]) -> dict[str, Any]:
    """The assignments `key=value` as keyword arguments of `function`; values are read as YAML.

    Raises InputError for what is no assignment and for a key that the function does not take, or that an option of the
    command's own sets (`taken`).
    """
    parameters = inspect.signature(function).parameters.values()
    known = sorted({p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - taken)
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    options: dict[str, Any] = {}
    for assignment in sets or []:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment!r} is no assignment; write --set key=value")
        if key in taken or (key not in known and not anything):
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise InputError(f"--set {assignment}: unknown key {key}; {hint}")
        try:
            options[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"--set {assignment!r}: the value is no YAML") from error
    return options


def words(text: str) -> list[str]:
    """`a, b` as ["a", "b"]."""
    return [word.strip() for word in text.split(",") if word.strip()]


def integers(option: str, text: str) -> list[int]:
    """`0,1` as [0, 1]. Raises InputError naming the option."""
    try:
        return [int(word) for word in words(text)]
    except ValueError:
        raise InputError(f"{option} is {text!r}; give whole numbers with commas, such as 0,1,2") from None
