"""Values as YAML that reads like the shipped recipes: a key per line, short lists on one line."""

from __future__ import annotations

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes lists of plain values as `[1, 2]` and everything else in lines."""


def _represent_list(dumper: _Dumper, values: list[object]) -> yaml.Node:
    plain = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=plain)


_Dumper.add_representer(list, _represent_list)


def yaml_text(values: dict[str, object], width: int) -> str:
    """`values` as YAML in lines of at most `width` characters, keys in their own order."""
    text = yaml.dump(
        values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=width
    )
    assert isinstance(text, str)  # there is no stream to write to
    return text
