"""Measure the phrase extractor and print its table: `python tests/bench/phrases.py [--model NAME] [--data FOLDER]`.

Quality: exact character spans of base noun phrases on the dev set of the English Web Treebank, end to end from raw
sentences, against the referee of the unit tests; also on the sentences as captions look (lower case, no full stop).
Icon world: share of captions all of whose object mentions are phrases. Speed: captions/s of the whole stage and of bare
`nlp.pipe` with the same components, one core, the same captions, in turns.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from data_filters.phrases import PhraseOptions
from data_filters.phrases.noun_chunks import NounChunks
from data_filters.phrases.noun_phrases import noun_phrases
from pipelines.icon_world.sample import World
from pipelines.shards.reader import iterate

Spans = set[tuple[int, int]]


def load_referee() -> ModuleType:
    path = ROOT / "tests" / "unit" / "data_filters" / "phrases" / "referee.py"
    spec = importlib.util.spec_from_file_location("noun_phrase_referee", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def prf(predicted: list[Spans], gold: list[Spans]) -> dict[str, float]:
    """Precision, recall and F1 of exact spans over all sentences."""
    hits = sum(len(p & g) for p, g in zip(predicted, gold, strict=True))
    said, there = sum(map(len, predicted)), sum(map(len, gold))
    precision, recall = hits / said, hits / there
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall)}


def base_spans(extractor: NounChunks, texts: list[str]) -> list[Spans]:
    """Every base noun phrase of the parse, before levels and limits choose among them."""
    return [
        {
            (doc[p.start].idx, doc[p.base_end - 1].idx + len(doc[p.base_end - 1]))
            for p in noun_phrases(doc, extractor.labels)
        }
        for doc in extractor.nlp.pipe(texts, batch_size=128)
    ]


def quality(extractor: NounChunks, dev: Path) -> dict[str, dict[str, float]]:
    gold = load_referee().read_gold(dev)
    phrases, nouns = [g.phrases for g in gold], [g.phrases - g.pronouns for g in gold]
    texts = [g.text for g in gold]
    found = base_spans(extractor, texts)
    # A pronoun predicted alone is recognised by its gold counterpart or, where wrong, counts as a noun phrase.
    no_pronouns = [f - g.pronouns for f, g in zip(found, gold, strict=True)]
    lower = [text.lower() for text in texts]
    bare = [text[:-1] if text[-1] in ".!?" else text for text in lower]
    assert all(len(a) == len(b) for a, b in zip(texts, lower, strict=True))
    return {
        "as written": prf(found, phrases),
        "as written, pronouns left out": prf(no_pronouns, nouns),
        "lower case": prf(base_spans(extractor, lower), phrases),
        "lower case, no final mark": prf(base_spans(extractor, bare), phrases),
    }


def icon_world(extractor: NounChunks, count: int = 2000) -> dict[str, Any]:
    """Captions of the icon world: are all mentions phrases, up to their determiner?"""
    world = World(seed=7, side=224, flaws=False, test_pairs=count)
    captions = [world.caption("test", i, world.scene("test", i)) for i in range(count)]
    whole, hits, mentions, missed = 0, 0, 0, []
    for caption, spans in zip(captions, extractor([c.text for c in captions]), strict=True):
        bare = {(_after_determiner(caption.text, start, end), end) for start, end in spans} | set(spans)
        lost = [m for m in caption.mentions if (m.start, m.end) not in bare]
        mentions += len(caption.mentions)
        hits += len(caption.mentions) - len(lost)
        whole += not lost
        missed += [f"{caption.text!r}: {caption.text[m.start : m.end]!r}" for m in lost]
    return {"captions": count, "all_recovered": whole / count, "mentions": hits / mentions, "missed": missed}


def _after_determiner(text: str, start: int, end: int) -> int:
    first, _, rest = text[start:end].partition(" ")
    return start + len(first) + 1 if first.lower() in ("a", "an", "the") and rest else start


def openstax_captions(folder: Path) -> list[str]:
    captions = []
    for tar in sorted(folder.glob("*.tar")):
        for _, members in iterate(str(tar)):
            text = members.get("txt") or json.loads(members["json"])["caption"].encode()
            captions.append(text.decode("utf-8", "replace"))
    return captions


def speed(extractor: NounChunks, captions: list[str], rounds: int) -> dict[str, float]:
    """Captions/s, best of `rounds`, of the stage and of the parser alone on what the stage gives it."""
    cut = [caption[: extractor.options.max_characters] for caption in captions]
    stage, bare = [], []
    for _ in range(rounds):
        start = time.process_time()
        extractor(captions)
        stage.append(time.process_time() - start)
        start = time.process_time()
        for _doc in extractor.nlp.pipe(cut, batch_size=extractor.options.batch_size):
            pass
        bare.append(time.process_time() - start)
    return {
        "stage": len(captions) / min(stage),
        "bare": len(captions) / min(bare),
        "ratio": min(bare) / min(stage),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--missed", type=int, default=0, help="icon mentions not found to print")
    parser.add_argument("--rounds", type=int, default=3, help="of the speed measurement; the best counts")
    parser.add_argument("--scores", type=Path, help="JSON file for the scores of quality")
    asked = parser.parse_args()
    extractor = NounChunks(asked.model, PhraseOptions())

    print("base noun phrases, EWT dev     precision  recall  F1")
    scores = quality(extractor, asked.data / "treebank" / "en_ewt-dev.conllu")
    for name, score in scores.items():
        print(f"{name:30} {score['precision']:9.4f} {score['recall']:7.4f}  {score['f1']:.4f}")
    icons = icon_world(extractor)
    print(
        f"icon world: {icons['all_recovered']:.4f} of {icons['captions']} captions, {icons['mentions']:.4f} of mentions"
    )
    if asked.scores:
        found = {"base_f1": {name: round(score["f1"], 4) for name, score in scores.items()}}
        found["icon_world_captions_whole"] = icons["all_recovered"]
        asked.scores.write_text(json.dumps(found, indent=1) + "\n")
    for line in icons["missed"][: asked.missed]:
        print("   ", line)
    world = World(seed=7, side=224, flaws=False, test_pairs=2000)
    for name, captions in {
        "icon world": [world.caption("test", i, world.scene("test", i)).text for i in range(2000)],
        "OpenStax": openstax_captions(asked.data / "openstax" / "raw")[::5],
    }.items():
        rate = speed(extractor, captions, asked.rounds)
        words = sum(len(caption.split()) for caption in captions) / len(captions)
        print(
            f"{name}: {rate['stage']:.0f} captions/s per core through the stage, {rate['bare']:.0f} bare nlp.pipe "
            f"(ratio {rate['ratio']:.2f}); {len(captions)} captions, {words:.1f} words each"
        )


if __name__ == "__main__":
    main()
