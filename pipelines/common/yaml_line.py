"""A value as YAML on one line: the right side of `--set`."""

from __future__ import annotations

import yaml


def yaml_line(value: object) -> str:
    """`value` as YAML on one line, which `yaml.safe_load` reads back; keys of mappings in their own order.

    A text with a line break is written over several lines, as YAML writes it.
    Raises yaml.YAMLError for an object that YAML has no form for.
    """
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    assert isinstance(text, str)  # there is no stream to write to
    return text.removesuffix("...\n").strip()
