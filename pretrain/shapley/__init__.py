"""Shapley values and interactions: exact where possible, otherwise sampled.

Needs torch and jaxtyping, and of this project only `data_filters.errors`.

games.py           TokenGame, SemanticGame: the players, and the value of a coalition
undisturbed.py     evaluation of a module that leaves its state unchanged
text_context.py    the words of the token game, averaged out of the values of image coalitions
coalitions.py      random coalitions: stratified, complementary, spread
members.py         which members of a region are evaluated alone with which coalitions
sampled.py         merged-player interactions and values, with standard errors
merged_layout.py   their evaluations: T, T ∪ R, T ∪ {j}
plain_layout.py    their evaluations from independent draws
absence.py         the value of a region that is lost when it alone is removed: two evaluations, exact
ends.py            the mean of a region's value alone and of what is lost without it: four evaluations, exact
pixel_game.py      the image's side of the token game in pixels
exact.py           semantic interactions without sampling; enumeration for small games
attribution.py     every cell's value for every phrase from one set of coalitions
paired_layout.py   its evaluations: complementary pairs, the whole set, the empty set
targets.py         interaction, |interaction| or value of a region by name
normalise.py       labels from interactions
"""

from pretrain.shapley.absence import absence
from pretrain.shapley.attribution import Attribution, attribute, phrase_attributions
from pretrain.shapley.ends import embedding_ends, ends
from pretrain.shapley.exact import enumerate_interaction, semantic_interactions
from pretrain.shapley.games import Game, SemanticGame, TokenGame
from pretrain.shapley.normalise import ROW_DISTRIBUTIONS, SOFT_LABELS, row_distributions, soft_labels
from pretrain.shapley.pixel_game import PixelGame
from pretrain.shapley.sampled import MergedEstimate, merged_interaction, plain_interaction
from pretrain.shapley.targets import TARGETS, region_targets
from pretrain.shapley.undisturbed import undisturbed

__all__ = [
    "ROW_DISTRIBUTIONS",
    "SOFT_LABELS",
    "TARGETS",
    "Attribution",
    "Game",
    "MergedEstimate",
    "PixelGame",
    "SemanticGame",
    "TokenGame",
    "absence",
    "attribute",
    "embedding_ends",
    "ends",
    "enumerate_interaction",
    "merged_interaction",
    "phrase_attributions",
    "plain_interaction",
    "region_targets",
    "row_distributions",
    "semantic_interactions",
    "soft_labels",
    "undisturbed",
]
