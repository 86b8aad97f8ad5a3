"""What filtering by a matcher is worth: pretraining on unfiltered pairs, on filtered ones, and on true pairs alone.

    loupe world --output W --pairs 12000 --image-size 112
    python tests/bench/matching_purpose.py --world W --matcher EXPORT --threshold T --work WORK
        [--seeds 0 1 2] [--steps 600] [--shuffled 0.3] [--at-once 2]

The captions of a share of the training pairs are exchanged among these. Curated three ways (no matching rule; itm at
least the threshold; the truth, as a bound), each trains the recipe icon_world with each seed for the same number of
steps and is judged by retrieval on the test split. A line of JSON for each result goes to WORK/results.jsonl; what it
holds already is not run again. Run with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from pipelines.shards.reader import iterate
from pipelines.shards.writer import write_shard

UNFILTERED, FILTERED, TRUE = "unfiltered", "filtered", "true"
MATCHED = "matched"  # field of the raw pairs' JSON


def shuffle_captions(world: Path, raw: Path, share: float) -> None:
    """Write the training shards again, with the captions of a share of all pairs exchanged, each with another text."""
    shards = {tar.name: list(iterate(str(tar))) for tar in sorted((world / "train").glob("*.tar"))}
    places = [(name, row) for name, pairs in shards.items() for row in range(len(pairs))]
    chosen = np.random.default_rng(7).permutation(len(places))[: round(share * len(places))]
    texts = {places[at]: shards[places[at][0]][places[at][1]][1]["txt"] for at in chosen}
    turned = dict(zip(texts, [*list(texts.values())[1:], next(iter(texts.values()))], strict=True))
    for name, pairs in shards.items():
        write_shard(
            raw / name,
            (
                (
                    key,
                    {
                        "jpg": parts["jpg"],
                        "txt": turned.get((name, row), parts["txt"]),
                        "json": json.dumps(
                            {MATCHED: turned.get((name, row), parts["txt"]) == parts["txt"]}
                        ).encode(),
                    },
                )
                for row, (key, parts) in enumerate(pairs)
            ),
        )


def loupe(*words: str) -> None:
    """Run a command of this project; end with what it said where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "cluster.cli", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"loupe {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")


def curate(raw: Path, work: Path, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Curate the three ways; returns what of the true and of the shuffled pairs each kept."""
    rules: Mapping[str, Any] = {
        UNFILTERED: {},
        FILTERED: {"match": {"kind": "matching", "model": arguments.matcher, "min_itm": arguments.threshold}},
        TRUE: {"truth": {"kind": "field", "field": MATCHED, "allow": [True]}},
    }
    found = {}
    for way, of_way in rules.items():
        recipe, output = work / f"{way}.json", work / f"data-{way}"
        recipe.write_text(json.dumps({"min_side": 64, "rules": of_way}))
        loupe("curate", str(recipe), "--input", str(raw), "--output", str(output))
        kept = [
            json.loads(parts["json"])[MATCHED]
            for tar in sorted(output.glob("*.tar"))
            for _, parts in iterate(str(tar))
        ]
        found[way] = {"kept_true": sum(kept), "kept_shuffled": len(kept) - sum(kept)}
    return found


def judged(way: str, seed: int, work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, export and evaluate one cell."""
    run, export, result = (str(work / f"{what}-{way}-{seed}") for what in ("run", "export", "result"))
    sets = [f"seed={seed}", f"schedule.steps={arguments.steps}", "workers.count=1", "data.phrase_share=0"]
    options = [word for assignment in sets for word in ("--set", assignment)]
    loupe("pretrain", "icon_world", "--data", str(work / f"data-{way}"), "--output", run, "--local", *options)
    loupe("export", run, "--output", export)
    loupe("evaluate", export, "--data", str(Path(arguments.world) / "test"), "--output", result)
    metrics = json.loads((Path(result) / "metrics.json").read_text())
    scores = {name: metrics[name]["R@1"] for name in ("image_to_text", "text_to_image")}
    return {"way": way, "seed": seed, "steps": arguments.steps, **scores, "images": metrics["images"]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--world", required=True)
    parser.add_argument(
        "--matcher", required=True, help="an exported matcher that has not seen the test split"
    )
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--shuffled", type=float, default=0.3)
    parser.add_argument("--at-once", type=int, default=2)
    arguments = parser.parse_args()
    work = Path(arguments.work)
    raw, results = work / "raw", work / "results.jsonl"
    if not results.exists():
        shuffle_captions(Path(arguments.world), raw, arguments.shuffled)
        kept = curate(raw, work, arguments)
        print(json.dumps(kept), flush=True)
        results.write_text("")
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    done = {(line["way"], line["seed"]) for line in lines}
    cells = [
        (way, seed)
        for seed in arguments.seeds
        for way in (UNFILTERED, FILTERED, TRUE)
        if (way, seed) not in done
    ]
    with ThreadPoolExecutor(arguments.at_once) as pool:
        for line in pool.map(lambda cell: judged(*cell, work, arguments), cells):
            with results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            lines.append(line)
    for way in (UNFILTERED, FILTERED, TRUE):
        means = [(line["image_to_text"] + line["text_to_image"]) / 2 for line in lines if line["way"] == way]
        print(f"{way}: R@1 {np.mean(means):.3f}, by seed {', '.join(f'{one:.3f}' for one in means)}")


if __name__ == "__main__":
    main()
