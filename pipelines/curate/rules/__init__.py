"""RULES: every rule with options of its own, by its `kind` in a recipe.

To add one: write it in a file of its own, a subclass of PairRule or CorpusRule (`rule.py`), and add its line below.
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SerializeAsAny, ValidatorFunctionWrapHandler, WrapValidator

from pipelines.curate.rules.balance import Balance
from pipelines.curate.rules.boilerplate import BoilerplateRule
from pipelines.curate.rules.deny_list import DenyListRule
from pipelines.curate.rules.dual_encoder import DualEncoderRule
from pipelines.curate.rules.duplicates import Duplicates
from pipelines.curate.rules.field import FieldRule
from pipelines.curate.rules.formats import FormatsRule
from pipelines.curate.rules.language import LanguageRule
from pipelines.curate.rules.leaks import Leaks
from pipelines.curate.rules.matching import MatchingRule
from pipelines.curate.rules.near_captions import NearCaptions
from pipelines.curate.rules.near_embeddings import NearEmbeddings
from pipelines.curate.rules.near_images import NearImages
from pipelines.curate.rules.rare_ngrams import RareNgrams
from pipelines.curate.rules.rule import CorpusRule, PairRule, Rule
from pipelines.curate.rules.safety import SafetyRule
from pipelines.curate.rules.top_fraction import TopFraction

__all__ = ["RULES", "AnyRule", "CorpusRule", "PairRule", "Rule"]

RULES: dict[str, type[Rule]] = {
    # of one pair, from its header, caption and metadata
    "formats": FormatsRule,
    "language": LanguageRule,
    "boilerplate": BoilerplateRule,
    "field": FieldRule,
    "deny_list": DenyListRule,
    # of one pair, from its pixels
    "leaks": Leaks,
    "safety": SafetyRule,
    "dual_encoder": DualEncoderRule,
    "matching": MatchingRule,
    # over the corpus
    "duplicates": Duplicates,
    "near_captions": NearCaptions,
    "near_images": NearImages,
    "near_embeddings": NearEmbeddings,
    "rare_ngrams": RareNgrams,
    "balance": Balance,
    "top_fraction": TopFraction,
}


# Any: whatever a recipe holds.
def _passed_on(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Take a rule that Python code has made as it is, of a kind that is not in RULES too."""
    return value if isinstance(value, Rule) else check(value)


if TYPE_CHECKING:  # the union below is made at run time, where no type checker sees it
    AnyRule = PairRule | CorpusRule
else:
    # SerializeAsAny: a rule of a kind that is not in RULES is dumped with all its options too.
    AnyRule = Annotated[
        SerializeAsAny[Annotated[reduce(operator.or_, RULES.values()), Field(discriminator="kind")]],
        WrapValidator(_passed_on),
    ]
