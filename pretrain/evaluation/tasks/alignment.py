"""Alignment: which phrase belongs to which region, and where each word is seen, drawn over the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from data_filters.errors import InputError
from data_filters.sample import BrokenSample
from pretrain.evaluation.data.phrase_objects import CaptionedImage, read_phrases
from pretrain.evaluation.data.samples import SampleStream, find_shards, in_words
from pretrain.evaluation.localisation import choose_proposer
from pretrain.evaluation.localisation.alignment import (
    AlignmentSettings,
    RegionAlignment,
    align,
    settings_of,
)
from pretrain.evaluation.localisation.candidates import Proposer
from pretrain.evaluation.localisation.proposal_options import listed
from pretrain.evaluation.localisation.task_options import PROPOSAL_RECORD, LocalisationOptions
from pretrain.evaluation.metrics.alignment import AlignmentScores
from pretrain.evaluation.pictures.alignment import show_alignment
from pretrain.evaluation.pictures.examples import EvenlySpaced, write_drawn
from pretrain.evaluation.task import Evaluation, EvaluationTask, Metrics
from pretrain.shapley.sampled import LEAST_BUDGET

PHRASES = 12  # per caption, and words: up to so many are exact in the semantic game, and fit on a page


def read_keys(keys: object) -> tuple[str, ...]:
    """Keys from a list, or from one text with commas. Raises ValueError on a key that is no text."""
    if keys is None:
        return ()
    values: list[object] = [keys]
    if isinstance(keys, str):
        values = [*keys.split(",")]
    elif isinstance(keys, list | tuple):
        values = [*keys]
    texts = []
    for value in values:
        if not isinstance(value, str):
            raise ValueError(f"keys has {value!r}, a number; put it in quotes, as in --set 'keys=\"000042\"'")
        texts.append(value.strip())
    return tuple(texts)


class AlignmentOptions(LocalisationOptions):
    """Which samples are shown, and how regions and phrases are compared."""

    regions: int = Field(8, ge=1, description="most regions per image")
    keys: Annotated[tuple[str, ...], BeforeValidator(read_keys)] = Field(
        (),
        description="keys of the samples to show, a list or one text with commas; none: evenly spaced ones",
    )
    scale: float | None = Field(
        None,
        gt=0,
        description="factor of the inner products before the softmax; null: as the export was trained",
    )
    budget: int = Field(
        64, ge=LEAST_BUDGET, description="coalitions per region for its interaction in the token game"
    )


@dataclass(frozen=True)
class AlignedSample:
    """Sample number `place` of the data, its phrases, and how they belong to its regions."""

    place: int
    sample: CaptionedImage
    alignment: RegionAlignment


@dataclass
class AlignedSamples:
    """Scores over all samples; those to be shown, evenly spaced or by key; the number of images."""

    evenly_spaced: EvenlySpaced[AlignedSample]
    by_key: dict[str, AlignedSample] = field(default_factory=dict)
    scores: AlignmentScores = field(default_factory=AlignmentScores)
    images: int = 0


class Alignment(EvaluationTask[AlignmentOptions, AlignedSamples]):
    """Region-phrase matrix and token interactions of chosen samples (LOUPE, figures 4 and 5), FILIP's word-patch maps.

    Phrases are the curated ones, else the data's own mentions of objects, else the caption's content words
    (`phrase_objects.read_phrases`): at most 12. Shown are `examples` samples, evenly spaced over the first `gallery` of
    the data, or those of the `keys`. `examples.json` has for each

    - `matrix` [regions, phrases]: softmax over phrases of `scale` × the inner products `alignment` of region and
      phrase, pooled from patch and word tokens as for L_FSA; `scale` is by default what the export was trained with
      (`alignment.settings_of`); `semantic_interactions` are the Shapley interactions of the same pairs;
    - of each region the token game's I([R]) (`interaction`) and φ([R]) (`value`) with standard errors, from `budget`
      coalitions each; the interaction, which is 0 for a region of a single cell, is drawn on the region;
    - `maps`: of each phrase the Shapley values of the cells ("attribution"), of each content word the similarity of
      the patch tokens ("word-patch"), and the word that each patch is most similar to ("best-word").

    Where the data say what phrases name (`mentions` of `objects`, or COCO's `boxes` whose category stands in the
    phrase), over all samples of the gallery, as fractions from 0 to 1:

    - `pointing_word_patch`: phrases whose most similar cell is one of their object's (`cells_inside`);
    - `pointing_attribution`: the same of the attributions;
    - `phrase_of_region`: regions on an object (IoU 0.5) whose best phrase names it, of those with a choice.

    `NAME_chance` is the score of a constant map; `NAME_text_blind` (pointing only) that of the image's maps permuted
    among its phrases. What exceeds it is due to the text, not to salience.
    """

    options = AlignmentOptions
    headlines: ClassVar = {
        name: name
        for name in (
            "pointing_word_patch",
            "pointing_word_patch_chance",
            "pointing_word_patch_text_blind",
            "pointing_attribution",
            "pointing_attribution_chance",
            "pointing_attribution_text_blind",
            "phrase_of_region",
            "phrase_of_region_chance",
        )
    }
    counts: ClassVar = {"images": "images", "named_phrases": "phrases", "matched_regions": "regions"}
    recorded_as: ClassVar = PROPOSAL_RECORD
    remark = (
        "Phrases whose strongest cell lies in their object, regions whose best phrase names them; in percent."
    )

    def needs_tokens(self, options: AlignmentOptions) -> bool:
        """Regions and phrases are pooled from tokens."""
        return True

    def settings(self, evaluation: Evaluation[AlignmentOptions]) -> Metrics:
        """Where regions come from and how they are compared; `options` are those of the proposals."""
        options = evaluation.options
        return {
            "gallery": options.gallery,
            "proposals": _proposer(evaluation)[0],
            "scale": round(_game(evaluation).scale, 4),
            "budget": options.budget,
            "keys": list(options.keys),
            "options": listed(options.for_proposals()),
        }

    def check_data(self, data: str, options: AlignmentOptions) -> None:
        """Refuse data that are not there."""
        find_shards(data)

    def measure(self, evaluation: Evaluation[AlignmentOptions]) -> AlignedSamples:
        """Align the samples that are shown or can be scored. Raises InputError where none can be shown."""
        options, encoder = evaluation.options, evaluation.token_encoder
        _, proposer = _proposer(evaluation)
        stream = SampleStream(evaluation.data)
        aligned = AlignedSamples(EvenlySpaced(options.examples if evaluation.output else 0))
        settings = options.for_proposals()
        for place, sample in _phrased(evaluation, stream):
            shown = sample.key in options.keys if options.keys else aligned.evenly_spaced.take_next()
            if shown or sample.names_objects:
                alignment = align(encoder, proposer, sample, settings)
                if alignment is None:
                    stream.skipped["no_phrase"] += 1
                    continue
                aligned.scores.add(sample, alignment, encoder.grid)
                if shown and options.keys:
                    aligned.by_key[sample.key] = AlignedSample(place, sample, alignment)
                elif shown:
                    aligned.evenly_spaced.keep(AlignedSample(place, sample, alignment))
            aligned.images += 1
        evaluation.skipped.update(stream.skipped)
        _check_found(evaluation, aligned)
        return aligned

    def summary(self, evaluation: Evaluation[AlignmentOptions], measured: AlignedSamples) -> Metrics:
        """Scores where the data say what phrases name, else a note; the number of images."""
        scores = measured.scores.summary()
        note = {} if scores else {"note": "no phrase of the data is known to name an object: pictures only"}
        return {
            **scores,
            **note,
            "images": measured.images,
            "grid": list(evaluation.token_encoder.grid),
        }

    def write_examples(
        self, evaluation: Evaluation[AlignmentOptions], measured: AlignedSamples, output: str
    ) -> None:
        """Write the matrices, interactions and maps of the chosen samples."""
        options = evaluation.options
        chosen = measured.by_key.values() if options.keys else measured.evenly_spaced.chosen()
        entries = [
            show_alignment(
                evaluation.token_encoder,
                shown.place,
                shown.sample,
                shown.alignment,
                _game(evaluation),
                words=PHRASES,
                budget=options.budget,
                chunk=options.batch_size,
                folder=output,
            )
            for shown in chosen
        ]
        write_drawn(output, "alignment", entries)


def _proposer(evaluation: Evaluation[AlignmentOptions]) -> tuple[str, Proposer]:
    """(name, proposer): by default the region head where the export has one, else saliency."""
    encoder, name = evaluation.token_encoder, evaluation.options.proposals
    if name is None:
        name = "saliency" if encoder.region_generator is None else "regions"
    return choose_proposer(name, encoder)


def _game(evaluation: Evaluation[AlignmentOptions]) -> AlignmentSettings:
    """How regions and phrases are compared: as in training, but for a scale that the options give."""
    settings = settings_of(evaluation.export, evaluation.token_encoder.temperature)
    scale = evaluation.options.scale
    return settings if scale is None else replace(settings, scale=scale)


def _phrased(
    evaluation: Evaluation[AlignmentOptions], stream: SampleStream
) -> Iterator[tuple[int, CaptionedImage]]:
    """(number of the sample, its caption with phrases) of the samples that have a phrase."""
    for place, picture in enumerate(evaluation.gallery(stream)):
        try:
            sample = read_phrases(picture, PHRASES)
        except BrokenSample as broken:
            stream.skipped[broken.reason] += 1
            continue
        stream.skipped.update(sample.unusable)
        if sample.phrases:
            yield place, sample
        else:
            stream.skipped["no_phrase"] += 1


def _check_found(evaluation: Evaluation[AlignmentOptions], aligned: AlignedSamples) -> None:
    missing = [key for key in evaluation.options.keys if key not in aligned.by_key]
    if missing or not aligned.images:
        lack = (
            f"no sample with a phrase and the key {missing[0]!r}" if missing else "no caption with a phrase"
        )
        raise InputError(
            f"data {evaluation.data!r} has {lack} (passed over: {in_words(evaluation.skipped)}); "
            "give shards with captions, and keys that are in them"
        )
