"""Matching: does a score tell true captions of an image from wrong ones?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from data_filters.errors import InputError
from pretrain.evaluation.data.iteration import batches
from pretrain.evaluation.data.samples import Picture, SampleStream, count_pairs
from pretrain.evaluation.data.wrong_captions import EXCHANGES, Described, Vocabulary, shuffled
from pretrain.evaluation.encoder import EMBEDDING, ExportedEncoder
from pretrain.evaluation.matcher import ExportedMatcher, Scores, cosines
from pretrain.evaluation.metrics.separation import average_precision, preferred, roc_auc, threshold_keeping
from pretrain.evaluation.options import EvaluationOptions, one_of
from pretrain.evaluation.task import Evaluation, EvaluationTask, Metrics
from pretrain.evaluation.token_encoder import POOLING_HELP, POOLINGS, TokenEncoder

MATCHED, SHUFFLED = "matched", "shuffled"
HALF = 0.5  # the threshold of `loupe curate`'s rule `matching` unless a recipe sets another


class MatchingOptions(EvaluationOptions):
    """What the threshold keeps, and which wrong captions are drawn."""

    keep: float = Field(0.95, gt=0, le=1, description="share of the matched pairs that the threshold keeps")
    seed: int = Field(0, ge=0, description="decides which wrong captions are drawn")
    pooling: Annotated[str, one_of(POOLINGS)] = Field(
        EMBEDDING, description=f"of a dual encoder: {POOLING_HELP}"
    )


@dataclass
class Judged:
    """Scores of the pairs by kind of caption and name of the score; row by row the same images for `matched`.

    `rows` are, for each kind, the images that have such a caption.
    """

    scores: dict[str, dict[str, list[np.ndarray]]] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=dict)
    images: int = 0


class Matching(EvaluationTask[MatchingOptions, Judged]):
    """ROC-AUC and average precision of each score: true captions against those of other images, and harder ones.

    Wrong captions (`data.wrong_captions`): `shuffled`, those of other images; where the data say what captions mention,
    one `attribute`, one `name` or one `relation` exchanged, and all `names`, so that colors and sizes stay. Exchanged
    captions are compared with the true ones of the same images; `preferred` is the share of images whose true caption
    scores above their own wrong one. `threshold` is the score above which `keep` of the true captions lie; `dropped`
    is the share of shuffled ones below it, `dropped_at_half` of ITM below 0.5, and `kept_at_half` the share of true
    ones at or above that. Any dual encoder is judged by its cosine, by a `pooling`.
    """

    options = MatchingOptions
    columns: ClassVar = {"itm.shuffled.auc": "AUC of ITM", "itc.shuffled.auc": "AUC of ITC"}
    headlines: ClassVar = {
        "itm": "itm.shuffled.auc",
        "itc": "itc.shuffled.auc",
        "cosine": "cosine.shuffled.auc",
        "itm_dropped": "itm.dropped",
    }
    chief = "itm.shuffled.auc"
    remark = "Area under the ROC curve, 0.5 is chance: true captions against wrong ones."
    fitted: ClassVar = ("threshold",)

    def open(self, export: str, options: MatchingOptions) -> ExportedEncoder | ExportedMatcher:
        """A matcher for a BLIP, else a dual encoder."""
        from transformers import AutoConfig

        try:
            is_matcher = AutoConfig.from_pretrained(export).model_type == "blip"
        except (OSError, ValueError):  # the encoder says what the folder is instead
            is_matcher = False
        if is_matcher and options.pooling != EMBEDDING:
            raise InputError(
                f"pooling is {options.pooling!r}, but export {export!r} is a matcher, which has scores of its own; "
                "leave pooling out"
            )
        kind = ExportedMatcher if is_matcher else ExportedEncoder
        return (TokenEncoder if options.pooling != EMBEDDING else kind)(export, options.device)

    def check_data(self, data: str, options: MatchingOptions) -> None:
        """Refuse data with fewer than two pairs."""
        if count_pairs(data) < 2:
            raise InputError(
                f"data {data!r} has fewer than two pairs; give more, so that captions can be shuffled"
            )

    def measure(self, evaluation: Evaluation[MatchingOptions]) -> Judged:
        """Score the true caption and the wrong ones of every image."""
        options = evaluation.options
        described = [
            Described(picture.captions[0], picture.metadata)
            for picture in evaluation.quiet_gallery(SampleStream(evaluation.data))
        ]
        if len({one.caption for one in described}) < 2:
            raise InputError(
                f"data {evaluation.data!r} have {len(described)} readable pairs, all of one caption; give more"
            )
        wrong = wrong_captions(described, options.seed)
        stream = SampleStream(evaluation.data)
        judged = Judged()
        for batch in batches(evaluation.gallery(stream), options.batch_size):
            _judge(evaluation, batch, wrong, judged)
        evaluation.skipped.update(stream.skipped)
        return judged

    def summary(self, evaluation: Evaluation[MatchingOptions], measured: Judged) -> Metrics:
        """The separation of each score, by kind of wrong caption."""
        kinds = measured.scores.pop(MATCHED)
        metrics: Metrics = {}
        for score, parts in kinds.items():
            matched = np.concatenate(parts)
            threshold = threshold_keeping(matched, evaluation.options.keep)
            metrics[score] = {"threshold": threshold}
            for kind, by_score in measured.scores.items():
                negatives = np.concatenate(by_score[score])
                positives = matched[measured.rows[kind]]
                metrics[score][kind] = {
                    "auc": roc_auc(positives, negatives),
                    "average_precision": average_precision(positives, negatives),
                    "preferred": preferred(positives, negatives),
                }
                if kind == SHUFFLED:
                    metrics[score]["dropped"] = float((negatives < threshold).mean())
                    if score == "itm":
                        metrics[score]["dropped_at_half"] = float((negatives < HALF).mean())
                        metrics[score]["kept_at_half"] = float((matched >= HALF).mean())
        counts = {kind: len(rows) for kind, rows in measured.rows.items() if kind != MATCHED}
        return {**metrics, "images": measured.images, "wrong": counts}


def wrong_captions(described: Sequence[Described], seed: int) -> dict[str, list[str | None]]:
    """For each kind a wrong caption of every sample, None where there is none; kinds without any are left out."""
    vocabulary = Vocabulary.of(described)
    found = {SHUFFLED: shuffled(described, np.random.default_rng([seed, 0]))}
    for number, (kind, exchange) in enumerate(EXCHANGES.items(), 1):
        generator = np.random.default_rng([seed, number])
        found[kind] = [exchange(sample, vocabulary, generator) for sample in described]
    return {
        kind: captions for kind, captions in found.items() if any(caption is not None for caption in captions)
    }


def _judge(
    evaluation: Evaluation[MatchingOptions],
    batch: list[Picture],
    wrong: dict[str, list[str | None]],
    judged: Judged,
) -> None:
    """Score a batch of images with every kind of caption."""
    first = judged.images
    true = [picture.captions[0] for picture in batch]
    captions: dict[str, Sequence[str]] = {MATCHED: true}
    there: dict[str, list[int]] = {MATCHED: list(range(len(batch)))}
    for kind, texts in wrong.items():
        own = texts[first : first + len(batch)]
        there[kind] = [row for row, text in enumerate(own) if text is not None]
        captions[kind] = [text if text is not None else true[row] for row, text in enumerate(own)]
    images = [picture.image for picture in batch]
    opened = evaluation.opened
    found: dict[str, Scores] = (
        opened.scores(images, captions)
        if isinstance(opened, ExportedMatcher)
        else cosines(evaluation.encoder, images, captions, evaluation.options.pooling)
    )
    for kind, scores in found.items():
        judged.rows.setdefault(kind, []).extend(first + row for row in there[kind])
        for score, values in scores.items():
            judged.scores.setdefault(kind, {}).setdefault(score, []).append(values[there[kind]])
    judged.images += len(batch)
