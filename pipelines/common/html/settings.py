"""Nested settings as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.common.yaml_line import yaml_line


def settings(values: Mapping[str, object], prefix: str = "") -> list[list[str]]:
    """[["a.b", "value"], ...] of nested settings, in their order; names and values are those that `--set` takes."""
    rows: list[list[str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += settings(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value:
            rows.append([f"{prefix}{name}", ", ".join(map(yaml_line, value))])
        else:
            rows.append([f"{prefix}{name}", yaml_line(value)])
    return rows
