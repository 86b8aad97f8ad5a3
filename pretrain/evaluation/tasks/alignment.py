"""Alignment: which phrase belongs to which region, and where each word is seen, drawn over the pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from data_filters.errors import InputError
from pretrain.evaluation.data.gallery import Progress
from pretrain.evaluation.data.phrase_objects import Described, describe
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.localisation.alignment import Aligned, align, settings_of
from pretrain.evaluation.localisation.proposals import choose_proposer, proposal_options
from pretrain.evaluation.metrics.alignment import AlignmentScores
from pretrain.evaluation.pictures.alignment import show_alignment
from pretrain.evaluation.pictures.boxes import EvenlySpaced, write_drawn
from pretrain.evaluation.results import claim_output, write_metrics
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.shapley.sampled import LEAST_BUDGET

_Seen = tuple[int, Described, Aligned]

PHRASES = 12  # of one caption, and words: so many are exact in the semantic game, and can be looked at


def evaluate_alignment(
    export: str,
    data: str,
    output: str | None = None,
    *,
    gallery: int | None = None,
    batch_size: int = 256,
    device: str = "cpu",
    examples: int = 8,
    progress: Progress | None = None,
    proposals: str | None = None,
    keys: str | Sequence[str] | None = None,
    scale: float | None = None,
    budget: int = 64,
    **options: Any,
) -> dict[str, Any]:
    """Region-phrase matrix and token interactions of chosen samples (LOUPE, figures 4 and 5), FILIP's word-patch maps.

    Regions are `proposals` (`proposals.PROPOSERS`; without it the region head's where the export has one, else
    saliency), at most `regions` of them, 8 by default; further `options` are `proposals.ProposalOptions`. Phrases are
    the curated ones, else the data's own mentions of objects, else the caption's content words (`described.describe`):
    at most 12.

    Chosen are `examples` samples, evenly spaced over the first `gallery` of the data, or those of the `keys` (a list,
    or one text with commas). `OUTPUT/examples.json` has for each

    - `matrix` [regions, phrases]: softmax over phrases of `scale` × the inner products `alignment` of region and
      phrase, pooled from patch and word tokens as for L_FSA; `scale` is by default what the export was trained with
      (`aligned.settings_of`); `semantic_interactions` are the Shapley interactions of the same pairs;
    - of each region the token game's I([R]) (`interaction`) and φ([R]) (`value`) with standard errors, from `budget`
      coalitions each; the interaction, which is 0 for a region of a single cell, is drawn on the region;
    - `maps`: of each phrase the Shapley values of the cells ("attribution"), of each content word the similarity of
      the patch tokens ("word-patch"), and the word that each patch is most similar to ("best-word").

    Where the data knows what phrases name (`mentions` of `objects`, or COCO's `boxes` whose category stands in the
    phrase), over all samples of the gallery, as fractions from 0 to 1:

    - `pointing_word_patch`: phrases whose most similar cell is one of their object's (`alignment_scores.cells_inside`);
    - `pointing_attribution`: the same of the attributions;
    - `phrase_of_region`: regions on an object (IoU 0.5) whose best phrase names it, of those with a choice.

    Each stands beside `_chance`, what a constant scores, pointing also beside `_text_blind`: the maps of the same
    image dealt out at random among its phrases. What exceeds that is owed to the text and not to what stands out.

    Raises InputError on a bad path, option or key, when nothing can be shown, or for an output with other results.
    """
    began = time.perf_counter()
    chosen_keys = _read_keys(keys)
    if scale is not None and not scale > 0:
        raise InputError(f"scale is {scale}; allowed are numbers above 0")
    if budget < LEAST_BUDGET:
        raise InputError(f"budget is {budget}; allowed are {LEAST_BUDGET} and more coalitions of a region")
    settings = proposal_options({"regions": 8, "chunk": batch_size, **options})
    encoder = TokenEncoder(export, device)
    if proposals is None:
        proposals = "saliency" if encoder.region_generator is None else "regions"
    name, proposer = choose_proposer(proposals, encoder)
    game = settings_of(export, encoder.temperature)
    game = game if scale is None else replace(game, scale=scale)
    identity = {
        "task": "alignment",
        "export": export,
        "data": data,
        "gallery": gallery,
        "proposals": name,
        "scale": round(game.scale, 4),
        "budget": budget,
        "keys": chosen_keys,
        "options": [f"{key}={value}" for key, value in vars(settings).items() if key != "chunk"],
    }
    if output is not None:
        claim_output(output, identity)
    stream = SampleStream(data)
    scores = AlignmentScores()
    shown: EvenlySpaced[_Seen] = EvenlySpaced(examples if output else 0)
    by_key: dict[str, _Seen] = {}
    images = 0
    for place, described in _described(stream, gallery):
        wanted = described.key in chosen_keys if chosen_keys else shown.wanted()
        if wanted or described.names_objects:
            aligned = align(encoder, proposer, described, settings)
            if aligned is None:
                stream.skipped["no_phrase"] += 1
                continue
            scores.add(described, aligned, encoder.grid)
            if wanted and chosen_keys:
                by_key[described.key] = (place, described, aligned)
            elif wanted:
                shown.keep((place, described, aligned))
        images += 1
        if progress is not None:
            progress(place + 1, gallery)
    missing = [key for key in chosen_keys if key not in by_key]
    if missing or not images:
        what = (
            f"no sample with a phrase and the key {missing[0]!r}" if missing else "no caption with a phrase"
        )
        raise InputError(
            f"data {data!r} has {what} (passed over: {dict(stream.skipped) or 'none'}); "
            "give shards with captions, and keys that are in them"
        )
    measured = scores.summary()
    metrics = {
        **identity,
        **measured,
        **({} if measured else {"note": "no phrase of the data is known to name an object: pictures only"}),
        "images": images,
        "grid": list(encoder.grid),
        "skipped": dict(stream.skipped),
    }
    if output is not None:
        entries = [
            show_alignment(encoder, *one, game, words=PHRASES, budget=budget, chunk=batch_size, folder=output)
            for one in (by_key.values() if chosen_keys else shown.chosen())
        ]
        write_drawn(output, "alignment", entries)
    metrics["seconds"] = round(time.perf_counter() - began, 3)
    if output is not None:
        write_metrics(output, metrics)
    return metrics


def _described(stream: SampleStream, gallery: int | None) -> Iterator[tuple[int, Described]]:
    """(place, what is said) of the samples that have a phrase."""
    for place, picture in enumerate(islice(stream, gallery)):
        try:
            described = describe(picture, PHRASES)
        except ValueError:  # phrases of another caption
            stream.skipped["broken_phrases"] += 1
            continue
        if described.phrases:
            yield place, described
        else:
            stream.skipped["no_phrase"] += 1


def _read_keys(keys: str | int | Sequence[str | int] | None) -> list[str]:
    listed = keys.split(",") if isinstance(keys, str) else [keys] if isinstance(keys, int) else keys or ()
    found = []
    for key in listed:
        if not isinstance(key, str):
            raise InputError(f"keys has {key!r}, a number; put it in quotes, as in --set 'keys=\"000042\"'")
        found.append(key.strip())
    return found
