"""SUPPLIERS: what makes the targets that objectives need.

A new supplier is one file and one line here, at the end: its place in the dict chooses its random stream, so that a
new one leaves the draws of the others as they are.
"""

from __future__ import annotations

from pretrain.supervision.attribution_teacher import AttributionTeacher
from pretrain.supervision.box_ascent import BoxAscent
from pretrain.supervision.shapley_targets import ShapleySupervision
from pretrain.supervision.supplier import Supplier

SUPPLIERS: dict[str, type[Supplier]] = {
    "shapley": ShapleySupervision,
    "attribution_teacher": AttributionTeacher,
    "box_ascent": BoxAscent,
}
