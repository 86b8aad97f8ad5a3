"""Typed, closed configuration: its sections, which of its fields decide results, its hash, and differences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.fields import FieldInfo

# The type that pydantic's Field takes is dict[str, Any].
NO_EFFECT_ON_OUTPUT: dict[str, Any] = {"affects_output": False}
"""Give a field `json_schema_extra=NO_EFFECT_ON_OUTPUT` when it changes how a run goes, not what comes out."""


def affects_output(field: FieldInfo) -> bool:
    """Whether a field decides what comes out: false for those marked NO_EFFECT_ON_OUTPUT."""
    extra = field.json_schema_extra
    return not (isinstance(extra, dict) and extra.get("affects_output") is False)


class Section(BaseModel):
    """A part of a configuration: unknown keys are refused, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, eq=False)  # compared by identity: a registry cannot be hashed
class AllowedNames:
    """The check of `one_of`, with its names, so that listings of a configuration can print them."""

    names: Collection[str]

    def __call__(self, value: str | None) -> str | None:
        """Return `value` unchanged. Raises ValueError when it is neither None nor one of the names."""
        if value is not None and value not in self.names:
            raise ValueError(f"allowed are {', '.join(self.names)}")
        return value


def one_of(names: Collection[str]) -> AfterValidator:
    """Check that a text is one of `names`, such as the keys of a registry, which are read at each check.

    Use it as `field: Annotated[str, one_of(TABLE)]`. None passes, for fields that may be null.
    """
    return AfterValidator(AllowedNames(names))


def config_hash(model: BaseModel) -> str:
    """16 hex digits (of SHA-256) of the settings that decide what comes out, see `output_settings`."""
    return hash_of(output_settings(model))


# Any: what JSON holds.
def hash_of(settings: Mapping[str, Any]) -> str:
    """16 hex digits (of SHA-256) of settings that JSON can hold, whatever the order of their keys."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


# Any: what JSON holds; callers pass it on to `json.dumps` or compare it.
def output_settings(model: BaseModel) -> dict[str, Any]:
    """The settings that decide what comes out, as JSON holds them.

    Fields marked NO_EFFECT_ON_OUTPUT (such as the number of workers) are left out, also in sections inside other
    sections, lists, tuples and mappings.
    """
    dumped = model.model_dump(mode="json")
    return {
        name: _output_value(getattr(model, name), dumped[name])
        for name, info in type(model).model_fields.items()
        if name in dumped  # a section may leave out what is not chosen
        and affects_output(info)
    }


class Difference(NamedTuple):
    """A setting, by its dotted key, that two configurations give different values; None where one lacks it."""

    key: str
    theirs: object
    mine: object


def differences(theirs: Mapping[str, object], mine: Mapping[str, object]) -> list[Difference]:
    """Every setting that differs between two configurations in JSON's types, in the order of their keys."""
    changes: list[Difference] = []
    for key in sorted({*theirs, *mine}):
        their_value, my_value = theirs.get(key), mine.get(key)
        if isinstance(their_value, dict) and isinstance(my_value, dict):
            inner = differences(their_value, my_value)
            changes += [Difference(f"{key}.{part.key}", part.theirs, part.mine) for part in inner]
        elif their_value != my_value:
            changes.append(Difference(key, their_value, my_value))
    return changes


def _output_value(value: object, dumped: object) -> object:
    """`dumped`, the JSON of `value`, with each section in it reduced to its output settings."""
    if isinstance(value, BaseModel):
        return output_settings(value)
    if isinstance(value, Mapping) and isinstance(dumped, dict) and len(value) == len(dumped):
        # model_dump keeps the order of a mapping, and writes its keys as text.
        return {
            key: _output_value(inner, dumped[key]) for key, inner in zip(dumped, value.values(), strict=True)
        }
    if isinstance(value, list | tuple) and isinstance(dumped, list) and len(value) == len(dumped):
        return [_output_value(inner, part) for inner, part in zip(value, dumped, strict=True)]
    return dumped
