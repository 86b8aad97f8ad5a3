"""Typed, closed configuration: its sections, which of its fields decide results, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

NO_EFFECT_ON_OUTPUT: dict[str, Any] = {"affects_output": False}
"""Give a field `json_schema_extra=NO_EFFECT_ON_OUTPUT` when it changes how a run goes, not what comes out."""


class Section(BaseModel):
    """A part of a configuration: unknown keys are refused, values are fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def config_hash(model: BaseModel) -> str:
    """16 hex digits of the settings that decide what comes out.

    A field whose `json_schema_extra` says `{"affects_output": False}` (how many workers, say) is left out.
    """
    return hash_of(output_settings(model))


def hash_of(settings: Mapping[str, Any]) -> str:
    """16 hex digits of settings that JSON can hold, whatever the order of their keys."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def output_settings(model: BaseModel) -> dict[str, Any]:
    """The settings that decide what comes out, as JSON holds them."""
    dumped = model.model_dump(mode="json")
    settings: dict[str, Any] = {}
    for name, info in type(model).model_fields.items():
        extra = info.json_schema_extra
        if isinstance(extra, dict) and extra.get("affects_output") is False:
            continue
        if name not in dumped:  # a section may leave out what is not chosen
            continue
        value = getattr(model, name)
        settings[name] = output_settings(value) if isinstance(value, BaseModel) else dumped[name]
    return settings
