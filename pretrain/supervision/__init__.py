"""SUPPLIERS lists the modules that make the targets of objectives.

To add a supplier, write one file and add one line here, at the end: the place in the dict selects the random stream, so
a new supplier at the end does not change the draws of the others.
"""

from __future__ import annotations

from pretrain.supervision.attribution_teacher import AttributionTeacher
from pretrain.supervision.box_ascent import BoxAscent
from pretrain.supervision.phrase_texts import PhraseTextSupplier
from pretrain.supervision.shapley_targets import ShapleySupervision
from pretrain.supervision.supplier import Supplier

SUPPLIERS: dict[str, type[Supplier]] = {
    "shapley": ShapleySupervision,
    "attribution_teacher": AttributionTeacher,
    "box_ascent": BoxAscent,
    "phrase_texts": PhraseTextSupplier,
}
