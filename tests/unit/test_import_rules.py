"""Who may import whom, as lists of what is allowed: a module that is added later is refused unless a list has it.

The contracts in `pyproject.toml` name what is forbidden, through other modules as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("data_filters", "pipelines", "pretrain", "cluster")
ALLOWED = {
    "data_filters": ("data_filters",),
    "pipelines.common": ("data_filters", "pipelines.common"),
    "pipelines.shards": ("data_filters", "pipelines.common", "pipelines.shards"),
    "pipelines": ("data_filters", "pipelines"),
    "pretrain": (
        *(f"data_filters.{name}" for name in ("errors", "sample", "decode", "matching")),
        "pipelines.common",
        "pipelines.shards",
        "pretrain",
    ),
    "pretrain.shapley": ("data_filters.errors", "pretrain.shapley"),
}
"""Room → the modules of ours that it may import, each with what lies below it."""


def is_module(name: str) -> bool:
    path = REPOSITORY.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def imported(source: str) -> Iterator[str]:
    """The modules of ours that a source imports anywhere in it, inside functions and for types alone too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            parts = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [part if is_module(part) else str(node.module) for part in parts]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in PACKAGES)


def refused(source: str, room: str) -> list[str]:
    """The imports of a source that its room does not allow."""
    return [
        name
        for name in imported(source)
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED[room])
    ]


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_what_its_list_has(room):
    files = sorted(REPOSITORY.joinpath(*room.split(".")).rglob("*.py"))
    assert files
    broken = {
        str(file.relative_to(REPOSITORY)): names
        for file in files
        if (names := refused(file.read_text(encoding="utf-8"), room))
    }
    assert broken == {}


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("from data_filters import FILTERS", ["data_filters"]),
        ("from data_filters import errors", []),
        ("from data_filters.sample import Sample", []),
        ("from data_filters.language import detect", ["data_filters.language"]),
        ("import pipelines.curate.run", ["pipelines.curate.run"]),
        ("from pipelines import ray_tasks", ["pipelines.ray_tasks"]),
        ("from pipelines.common.files import join\nimport torch", []),
        ("def late():\n    from cluster import recipes", ["cluster.recipes"]),
    ],
)
def test_what_pretrain_may_not_import_is_seen(statement, names):
    assert refused(statement, "pretrain") == names
