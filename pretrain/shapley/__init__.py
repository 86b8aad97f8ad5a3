"""Shapley values and interactions: exact where possible, sampled well. Needs torch alone.

undisturbed.py    evaluate a module without leaving a trace in it
games.py          TokenGame, SemanticGame: who plays, what a coalition is worth
text_context.py   the words' part in the token game, averaged out
coalitions.py     random coalitions: stratified, complementary, spread
members.py        which members of a region meet which coalitions
sampled.py        merged-player interactions and values, with standard errors
absence.py        what a region takes with it, two evaluations, exact
exact.py          semantic interactions without sampling; enumeration as a referee
attribution.py    every cell's value for every phrase from one set of coalitions
targets.py        interaction, |interaction| or value; normalise.py: into labels
"""

from pretrain.shapley.absence import absence
from pretrain.shapley.attribution import Attribution, attribute, phrase_attributions
from pretrain.shapley.exact import enumerate_interaction, semantic_interactions
from pretrain.shapley.games import Game, SemanticGame, TokenGame
from pretrain.shapley.normalise import ROW_DISTRIBUTIONS, SOFT_LABELS, row_distributions, soft_labels
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
    "SemanticGame",
    "TokenGame",
    "absence",
    "attribute",
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
