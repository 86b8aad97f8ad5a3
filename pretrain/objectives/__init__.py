"""OBJECTIVES lists the losses that a recipe may name, in the order in which they are added up.

To add an objective, write one file (its loss, its options, what it needs) and add one line here.
"""

from __future__ import annotations

from typing import Any

from pretrain.objectives.box_value import BOX_VALUE
from pretrain.objectives.contrastive import CONTRASTIVE
from pretrain.objectives.fine_grained import FINE_GRAINED
from pretrain.objectives.hard_negative import HARD_NEGATIVE
from pretrain.objectives.late_interaction import LATE_INTERACTION
from pretrain.objectives.max_pooled import MAX_POOLED
from pretrain.objectives.objective import Objective
from pretrain.objectives.phrase_attribution import PHRASE_ATTRIBUTION
from pretrain.objectives.phrase_contrast import PHRASE_CONTRAST
from pretrain.objectives.sigmoid import SIGMOID
from pretrain.objectives.token_semantics import TOKEN_SEMANTICS
from pretrain.objectives.unsil import UNSIL

# Any: each objective has options of its own type.
OBJECTIVES: dict[str, Objective[Any]] = {
    "contrastive": CONTRASTIVE,
    "sigmoid": SIGMOID,
    "late_interaction": LATE_INTERACTION,
    "max_pooled": MAX_POOLED,
    "hard_negative": HARD_NEGATIVE,
    "token_semantics": TOKEN_SEMANTICS,
    "box_value": BOX_VALUE,
    "fine_grained": FINE_GRAINED,
    "unsil": UNSIL,
    "phrase_attribution": PHRASE_ATTRIBUTION,
    "phrase_contrast": PHRASE_CONTRAST,
}
