"""Nested settings as rows of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping


def settings(values: Mapping[str, object], prefix: str = "") -> list[list[str]]:
    """[["a.b", "value"], ...] of nested settings, in their order; names are those that `--set` takes."""
    rows: list[list[str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += settings(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value:
            rows.append([f"{prefix}{name}", ", ".join(map(_as_yaml, value))])
        else:
            rows.append([f"{prefix}{name}", _as_yaml(value)])
    return rows


def _as_yaml(value: object) -> str:
    """A value as a recipe's YAML file would hold it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
