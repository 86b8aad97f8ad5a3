"""Measure how often a model prefers a caption to the same caption with one name exchanged.

    python tests/bench/names_told.py WORLD/test EXPORT [EXPORT ...]

For each image of the icon world one mentioned object gets another name of the world that no object of the image has.
Both captions are compared with the image by the cosine of max-pooled embeddings, by the mean over the mentions of the
best patch, and by the sum of the two, as retrieval with `scoring: phrases` does. Printed is the share of images that
prefer their own caption; chance is 0.5.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from pretrain.evaluation.data.samples import Picture, SampleStream
from pretrain.evaluation.token_encoder import TokenEncoder

Texts = list[str]  # a caption, and behind it the phrases that mention objects


def exchanged(picture: Picture, names: list[str], draw: np.random.Generator) -> tuple[Texts, Texts] | None:
    """The caption and its mentions as they are, and with one name exchanged; None where it does not stand there."""
    caption, objects = picture.captions[0], picture.metadata["objects"]
    mentions = [(entry["start"], entry["end"], entry["object"]) for entry in picture.metadata["mentions"]]
    phrases = [caption[start:end] for start, end, _ in mentions]
    chosen = int(draw.integers(len(mentions)))
    start, end, number = mentions[chosen]
    others = [name for name in names if name not in {entry["name"] for entry in objects}]
    other, name = others[int(draw.integers(len(others)))], objects[number]["name"]
    if name not in phrases[chosen]:
        return None
    wrong = phrases[chosen].replace(name, other)
    turned = [*phrases[:chosen], wrong, *phrases[chosen + 1 :]]
    return [caption, *phrases], [caption[:start] + wrong + caption[end:], *turned]


def measure(data: str, export: str) -> dict[str, float]:
    """The shares by way of comparison."""
    encoder, draw = TokenEncoder(export, "cpu"), np.random.default_rng(0)
    pictures = list(SampleStream(data))
    names = sorted({entry["name"] for picture in pictures for entry in picture.metadata["objects"]})
    preferred: dict[str, list[bool]] = {"cosine": [], "phrases": [], "both": []}
    for picture in pictures:
        texts = exchanged(picture, names, draw)
        if texts is None:
            continue
        pixels = encoder.pixels([picture.image])
        image, patches = encoder.embed_pixels(pixels, "max_pooled")[0], encoder.patches(pixels)[0]
        scores = []
        for side in texts:
            embedded = encoder.texts(side, pooling="max_pooled")
            found = float((embedded[1:] @ patches.T).amax(1).mean())
            cosine = float(embedded[0] @ image)
            scores.append({"cosine": cosine, "phrases": found, "both": cosine + found})
        for way, values in preferred.items():
            values.append(scores[0][way] > scores[1][way])
    return {way: round(float(np.mean(values)), 3) for way, values in preferred.items()} | {
        "images": len(preferred["both"])
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("exports", nargs="+")
    arguments = parser.parse_args()
    for export in arguments.exports:
        print(export, measure(arguments.data, export), flush=True)


if __name__ == "__main__":
    main()
