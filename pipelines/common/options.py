"""Every key of a typed configuration with its type, default, limits and description, read from its fields.

`loupe recipes options` and the reference pages of the documentation print the same rows.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import annotated_types
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from pipelines.common.config import AllowedNames, affects_output
from pipelines.common.yaml_line import yaml_line

ANY_NAME, ANY_PLACE = "NAME", "N"
"""What stands in a dotted key for the free key of a mapping, and for the place in a list."""

_UNIONS = (typing.Union, types.UnionType)
_LISTS = (tuple, list, set, frozenset, Sequence)
_MAPPINGS = (dict, Mapping)
_NAMES: dict[object, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    type(None): "null",
    None: "null",
    typing.Any: "any value",
    object: "any value",
}


@dataclass(frozen=True)
class OptionDescription:
    """One key of a configuration. `key` is dotted; `default` is as JSON holds it, and None where `required`."""

    key: str
    type: str
    default: object
    limits: str
    """Such as `>= 1, <= 4`; empty where there are none."""
    description: str
    required: bool
    is_section: bool
    """Whether keys stand below it."""
    has_own_default: bool
    """False for a section that is always there: its keys have the defaults."""
    affects_output: bool
    """False where the key changes how a run goes, not what comes out."""

    @property
    def default_text(self) -> str:
        """The default as YAML on one line, or `required`."""
        return "required" if self.required else yaml_line(self.default)


def describe(model_class: type[BaseModel]) -> list[OptionDescription]:
    """Every key that `model_class` takes, in the order of its fields; a section stands before the keys below it.

    A section that may be null, and one below a free key (`rows.NAME.title`) or in a list (`evaluations.N.name`), is
    described like any other; of a section that is one of several, the keys are left out. Defaults of keys in a section
    are those that the section above gives it.
    """
    return list(_describe(model_class, None, "", ()))


def _describe(
    model_class: type[BaseModel],
    defaults: BaseModel | None,
    above: str,
    ancestors: tuple[type[BaseModel], ...],
) -> Iterator[OptionDescription]:
    """Keys of one section; `defaults` is the section as its parent gives it where a recipe says nothing."""
    for name, field in model_class.model_fields.items():
        key = f"{above}{field.alias or name}"
        required, default = _default(field) if defaults is None else (False, getattr(defaults, name))
        sections = list(_sections(field.annotation))
        # A section that is always there has its default in its keys.
        whole = isinstance(default, BaseModel) and field.annotation is type(default)
        yield OptionDescription(
            key=key,
            type=type_text(field.annotation, _allowed_names(field.metadata)),
            default=None if required or whole else to_jsonable_python(default),
            limits=_limits(field),
            description=field.description or (_first_line(sections[0][1]) if sections else ""),
            required=required,
            is_section=bool(sections),
            has_own_default=not whole,
            affects_output=affects_output(field),
        )
        suffixes = [suffix for suffix, _ in sections]
        for suffix, section in sections:
            # Which keys one of several sections has depends on which one it is.
            if section not in ancestors and suffixes.count(suffix) == 1:
                given = default if isinstance(default, section) and not suffix else None
                yield from _describe(section, given, f"{key}{suffix}.", (*ancestors, model_class))


def _default(field: FieldInfo) -> tuple[bool, object]:
    """(whether a value is required, the default)."""
    if field.is_required() or field.default_factory_takes_validated_data:
        return field.is_required(), None
    default = field.get_default(call_default_factory=True)
    return False, None if default is PydanticUndefined else default


def type_text(annotation: object, names: Collection[str] | None = None) -> str:
    """A type in words: `integer or null`, `one of swin, vit`, `list of 2 numbers`, `section`.

    `names` are the allowed values where `annotation` is a text that `one_of` checks, or such a text or null.
    """
    if annotation is str and names is not None:
        return f"one of {', '.join(names)}"
    if annotation in _NAMES:
        return _NAMES[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(arguments[0], _allowed_names(arguments[1:]))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in _UNIONS:
        return " or ".join(dict.fromkeys(type_text(member, names) for member in arguments))
    if origin in _LISTS:
        return _list_text(arguments)
    if origin in _MAPPINGS:
        values = type_text(arguments[1])
        return "mapping" if values == "any value" else f"mapping of names to {_plural(values)}"
    if annotation in _MAPPINGS:
        return "mapping"
    if annotation in _LISTS:
        return "list"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(member.value) for member in annotation)}"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _allowed_names(metadata: Iterable[object]) -> Collection[str] | None:
    """The names that a check of `one_of` among the metadata of a field allows; None where there is none."""
    for check in metadata:
        if isinstance(check, AfterValidator) and isinstance(check.func, AllowedNames):
            return check.func.names
    return None


def _list_text(arguments: tuple[object, ...]) -> str:
    members = [type_text(argument) for argument in arguments if argument is not Ellipsis]
    if Ellipsis in arguments or len(members) == 1:
        return f"list of {_plural(members[0])}"
    if len(set(members)) == 1:
        return f"list of {len(members)} {_plural(members[0])}"
    return f"list of {', '.join(members)}"


def _plural(noun: str) -> str:
    """`integers` of `integer`; what is more than a word stays as it is."""
    return f"{noun}s" if noun.isalpha() else f"({noun})"


def _sections(annotation: object) -> Iterator[tuple[str, type[BaseModel]]]:
    """(what is added to the key, section) for every section inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _sections(arguments[0])
    elif origin in _UNIONS:
        for member in arguments:
            yield from _sections(member)
    elif origin in _LISTS or origin in _MAPPINGS:
        values = arguments[1:] if origin in _MAPPINGS else arguments
        step = ANY_NAME if origin in _MAPPINGS else ANY_PLACE
        for member in values:
            yield from ((f".{step}{suffix}", section) for suffix, section in _sections(member))


def _limits(field: FieldInfo) -> str:
    """The bounds of a field's value, joined by commas."""
    bounds = []
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            bounds.append(f">= {bound.ge}")
        elif isinstance(bound, annotated_types.Gt):
            bounds.append(f"> {bound.gt}")
        elif isinstance(bound, annotated_types.Le):
            bounds.append(f"<= {bound.le}")
        elif isinstance(bound, annotated_types.Lt):
            bounds.append(f"< {bound.lt}")
        elif isinstance(bound, annotated_types.MultipleOf):
            bounds.append(f"multiple of {bound.multiple_of}")
        elif isinstance(bound, annotated_types.MinLen):
            bounds.append(f"length >= {bound.min_length}")
        elif isinstance(bound, annotated_types.MaxLen):
            bounds.append(f"length <= {bound.max_length}")
    return ", ".join(bounds)


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip().partition("\n")[0]
