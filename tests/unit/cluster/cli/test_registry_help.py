"""Help texts hold the names that the registries hold now."""

import importlib

import pytest

from cluster.cli.registry_help import REGISTRIES, fill, registry_names


@pytest.mark.parametrize(
    ("placeholder", "words"),
    [
        ("recipe_kinds", ("recipes", "show", "--help")),
        ("filters", ("curate", "--help")),
        ("objectives", ("pretrain", "--help")),
        ("export_formats", ("export", "--help")),
        ("evaluation_tasks", ("evaluate", "--help")),
    ],
)
def test_a_new_entry_is_named_in_the_help(loupe, monkeypatch, placeholder, words):
    module, attribute = REGISTRIES[placeholder]
    registry = getattr(importlib.import_module(module), attribute)
    assert "toy_entry" not in loupe(*words)[1]
    monkeypatch.setattr(importlib.import_module(module), attribute, {**registry, "toy_entry": object()})
    assert "toy_entry" in loupe(*words)[1]


def test_names_are_joined_in_the_order_of_the_registry():
    from data_filters import FILTERS

    assert registry_names("filters") == list(FILTERS)
    assert fill("one of {filters}; {other}") == f"one of {', '.join(FILTERS)}; {{other}}"
    assert fill(None) is None
