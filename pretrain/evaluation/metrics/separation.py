"""How well a score separates two classes: area under the ROC curve, average precision, the threshold of a share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]


def roc_auc(positives: Scores, negatives: Scores) -> float:
    """The probability that a positive scores above a negative; a tie counts one half. 0 to 1, 0.5 is chance.

    Both hold one score at least.
    """
    ordered = np.sort(negatives)
    below = np.searchsorted(ordered, positives, side="left")
    upto = np.searchsorted(ordered, positives, side="right")
    return float((below + upto).mean() / (2 * len(negatives)))


def preferred(positives: Scores, negatives: Scores) -> float:
    """The share of pairs (one of each, in their order) whose positive scores higher; a tie counts one half. 0 to 1."""
    return float(np.where(positives == negatives, 0.5, positives > negatives).mean())


def average_precision(positives: Scores, negatives: Scores) -> float:
    """The mean over the positives of the precision at each one's score; equal scores enter together. 0 to 1."""
    ours, theirs = np.sort(positives), np.sort(negatives)
    true = len(ours) - np.searchsorted(ours, positives, side="left")
    false = len(theirs) - np.searchsorted(theirs, positives, side="left")
    return float((true / (true + false)).mean())


def threshold_keeping(scores: Scores, share: float) -> float:
    """The highest of the scores at which, or above, at least `share` (0 to 1) of them lie."""
    needed = max(1, int(np.ceil(share * len(scores) - 1e-9)))
    return float(np.sort(scores)[::-1][needed - 1])
