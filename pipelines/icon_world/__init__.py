"""The demonstration corpus: scenes of icons with captions and exact ground truth.

`render_world` writes it as raw shards; every byte follows from the arguments and the photographs that they name.
"""

from pipelines.icon_world.flaws import FLAWS_PER_BLOCK
from pipelines.icon_world.vocabulary import BACKGROUNDS, COLORS, NAMES, SIZES, SPLITS, held_out_color
from pipelines.icon_world.world import WorldSummary, render_world

__all__ = [
    "BACKGROUNDS",
    "COLORS",
    "FLAWS_PER_BLOCK",
    "NAMES",
    "SIZES",
    "SPLITS",
    "WorldSummary",
    "held_out_color",
    "render_world",
]
