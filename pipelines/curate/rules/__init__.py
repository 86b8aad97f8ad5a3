"""RULES: every rule with options of its own, by its `kind` in a recipe.

To add one: write it in a file of its own, a subclass of PairRule or CorpusRule (`rule.py`), and add its line below.
"""

from __future__ import annotations

from typing import Annotated, Any, Union

from pydantic import Field

from pipelines.curate.rules.rule import CorpusRule, PairRule, Rule

__all__ = ["RULES", "AnyRule", "CorpusRule", "PairRule", "Rule"]

RULES: dict[str, type[Rule]] = {}

# Any: mypy knows no union that is made at run time.
AnyRule: Any = Rule
