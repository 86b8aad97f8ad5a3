"""KINDS: the kinds of recipes by name, with their folder and the function that reads and checks one.

The classes are imported inside those functions: `loupe recipes list` needs the folders alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from cluster.recipes import load_recipe, shipped_recipes
from cluster.shipped import ABLATIONS, CURATION, PRETRAINING
from data_filters.errors import InputError


@dataclass(frozen=True)
class RecipeKind:
    """One kind of recipe: the folder of the shipped ones, the command that takes them, how they are checked."""

    folder: Path
    command: str
    load: Callable[[str, list[str] | None], BaseModel]
    """(shipped name or path, overrides) → the checked recipe."""

    def names(self) -> list[str]:
        """The shipped recipes."""
        return shipped_recipes(self.folder)

    def summary(self, name: str) -> str:
        """The first sentence of the comment at the top of a shipped recipe; empty where there is none."""
        comment = []
        for line in (self.folder / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            comment.append(line.lstrip("# ").strip())
        return re.split(r"(?<=\.)(?<!et al\.) ", " ".join(comment), maxsplit=1)[0]


def _load_curation(name: str, sets: list[str] | None) -> BaseModel:
    from pipelines.curate.config import CurateConfig

    return load_recipe(CurateConfig, CURATION, name, sets)


def _load_pretraining(name: str, sets: list[str] | None) -> BaseModel:
    from pretrain.tasks import config_class

    return load_recipe(config_class, PRETRAINING, name, sets)


def _load_ablation(name: str, sets: list[str] | None) -> BaseModel:
    from cluster.ablation.plan import AblationPlan

    return load_recipe(AblationPlan, ABLATIONS, name, sets)


KINDS: dict[str, RecipeKind] = {
    "curation": RecipeKind(CURATION, "loupe curate", _load_curation),
    "pretraining": RecipeKind(PRETRAINING, "loupe pretrain", _load_pretraining),
    "ablation": RecipeKind(ABLATIONS, "loupe ablate", _load_ablation),
}


def kind_of(name: str, kind: str | None) -> str:
    """The kind of a recipe: as it was given, else the one kind that ships the name.

    Raises InputError for an unknown kind, for a name that several kinds ship and for a file or an unknown name.
    """
    known = ", ".join(KINDS)
    if kind is not None:
        if kind not in KINDS:
            raise InputError(f"kind is {kind!r}; allowed are {known}; set --kind to one of them")
        return kind
    kinds = [known_kind for known_kind, about in KINDS.items() if name in about.names()]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise InputError(f"{name} is the name of several recipes; add --kind {' or --kind '.join(kinds)}")
    if Path(name).is_file():
        raise InputError(f"{name} is a file; say what it is: --kind {' or --kind '.join(KINDS)}")
    shipped = sorted({name for about in KINDS.values() for name in about.names()})
    near = difflib.get_close_matches(name, shipped, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"unknown recipe {name!r}; {hint}`loupe recipes list` names the shipped ones")
