"""Compare loupe's training with open_clip's and with a bare loop: image-text pairs per CPU second, on equal ground.

    python tests/bench/peers.py --data CURATED [--runs 5] [--steps 100] [--only bare|open_clip]
        [--environment DIR] [--patch-size PX] [--context TOKENS] [--no-stages]

CURATED is the output of `loupe curate` on a local disk. In each run every side trains twice, WARM steps and WARM +
STEPS steps; the difference of their CPU seconds (user and system, of the whole process tree) is that of STEPS steps,
and the start cancels. Sides take turns, in the other order in every second run, and the ratio is taken in each run: its
geometric mean and 95% interval (Student's t on the logarithms) leave out what slows the machine for all.

Equal on both sides of loupe / open_clip:
- towers: a ViT and a text transformer of one shape (`peer_sides/equal_towers.py`), the same pieces of captions; rows
  that no caption uses are added to open_clip's vocabulary until the numbers of parameters agree (loupe's towers have
  poolers). FLOPs of a forward and a backward pass are counted by torch on both sides and printed;
- data and work: the same tars, batch, crop (0.9 to 1 of the area, bicubic), normalisation, AdamW, fp32, no clipping of
  gradients, torch, Pillow, numpy and tokenizer versions, a log line every ten steps;
- threads: one for computing. Each reads in its own process: loupe in one thread beside the one that trains, open_clip
  in the one that trains.

open_clip's options are its fastest ones here, in CPU seconds:
- `--workers 0`: one reader process (`--workers 1`) takes more CPU, for it hands its batches over;
- no `--torchcompile`: its steps take as long as those without, beside a minute of compiling (nor does loupe compile);
- no `--grad-checkpointing`, `--accum-freq 1`: the others compute forward passes twice;
- `--local-loss`, `--gather-with-grad`, `--ddp-static-graph` concern several processes only.
Others may be given by `--open-clip`, as one string.

Bare loop: towers of loupe's classes and shape with the loss and AdamW, on loupe's own first batches in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from paired_ratio import MOST_PAIRS, paired_ratio
from peer_sides.environment import open_clip_python
from peer_sides.equal_towers import CROP, MEAN, STD, Towers, write
from peer_sides.sides import BareLoop, Loupe, OpenClip, Side, said, spent_by
from peer_sides.tables import markdown

from pretrain.data.samples.tokenizer import load_tokenizer

WARM = 10  # steps of the shorter training
BATCHES = 16  # batches that the bare loop holds, and on which FLOPs are counted
STAGE_STEPS = 40
PIXELS = ("--image-mean", *3 * (str(MEAN),), "--image-std", *3 * (str(STD),), "--aug-cfg", f"scale={CROP}")
FASTEST = ("--device=cpu", "--precision=fp32", "--dataset-type=webdataset", "--wd=0.01", "--workers=0")
LARGEST_DIFFERENCE = 0.01  # of parameters, as a share


def make_sides(asked: argparse.Namespace, work: Path) -> tuple[list[Side], dict[str, Any]]:
    """The sides that take part, loupe between its peers, and what their towers cost."""
    towers = Towers(patch_size=asked.patch_size, context=asked.context)
    recipe = write(work, "equal_towers.yaml", towers.recipe())
    loupe = Loupe(recipe, str(Path(asked.data).resolve()), BATCHES)
    vocabulary = {"vocabulary": len(load_tokenizer("loupe"))}
    sides: list[Side] = [loupe]
    costs: dict[str, Any] = {loupe.name: loupe.counts() | vocabulary}
    if asked.only != "bare":
        peer, costs["open_clip"] = equal_open_clip(asked, work, towers, costs[loupe.name]["parameters"])
        sides.insert(0, peer)
    if asked.only != "open_clip":
        loupe.write_batches(work / "batches.pt")
        bare = BareLoop(recipe, work / "batches.pt")
        costs[bare.name] = bare.counts() | vocabulary
        sides.append(bare)
    return sides, {"towers": asdict(towers), "costs": costs}


def equal_open_clip(
    asked: argparse.Namespace, work: Path, towers: Towers, parameters: float
) -> tuple[OpenClip, dict[str, float]]:
    """open_clip with towers of as many parameters, and what they cost."""
    python, tokenizer = open_clip_python(Path(asked.environment).resolve()), load_tokenizer("loupe")
    tars = tuple(sorted(str(path.resolve()) for path in Path(asked.data).glob("*.tar")))
    options = (*FASTEST, *PIXELS, *asked.open_clip.split())
    tokenizer.save_pretrained(work / "tokenizer")
    vocabulary = len(tokenizer)
    for _ in range(2):  # the second time with rows for the parameters that are lacking
        document = towers.open_clip_model(work / "tokenizer", vocabulary)
        # A name with "vit": open_clip takes its rates and moments for ViTs by the name.
        side = OpenClip(python, write(work, "vit_equal_towers.json", document), tars, options, towers.batch)
        cost = side.counts() | {"vocabulary": vocabulary}
        lacking = parameters - cost["parameters"]
        vocabulary += max(0, round(lacking / towers.width))
    if abs(lacking) > LARGEST_DIFFERENCE * parameters:
        raise SystemExit(f"open_clip's towers have {cost['parameters']:,} parameters, loupe's {parameters:,}")
    return side, cost


def measure(side: Side, steps: int, pairs: int, folder: Path) -> dict[str, Any]:
    """Train WARM steps and WARM + `steps` steps: the rate between them, and the losses of the longer training."""
    spent = []
    for length in (WARM, WARM + steps):
        (folder / str(length)).mkdir(parents=True)
        spent.append(spent_by(side.command(length, folder / str(length))))
    start, whole = spent
    return {
        "of": side.name,
        "pairs_per_cpu_second": pairs * steps / (whole.cpu - start.cpu),
        "pairs_per_second": pairs * steps / (whole.wall - start.wall),
        "start_cpu_seconds": start.cpu,
        "load": os.getloadavg()[0],
        "losses": side.losses(folder / str(WARM + steps)),
    }


def stages(side: Side, folder: Path) -> dict[str, float]:
    """CPU milliseconds a pair of each stage, in one training that is taken apart."""
    folder.mkdir()
    said(side.command(STAGE_STEPS, folder, folder / "stages.json"))
    return json.loads((folder / "stages.json").read_text())


def ratios(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """loupe's rate over that of each peer: the ratio of each run, their geometric mean and its 95% interval."""
    rates: dict[str, list[float]] = {}
    for run in runs:
        rates.setdefault(run["of"], []).append(run["pairs_per_cpu_second"])
    own = rates.pop("loupe")
    return {
        f"loupe / {name}": paired_ratio(own, each)._asdict()
        | {"each": [one / other for one, other in zip(own, each, strict=True)]}
        for name, each in rates.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--runs", type=int, default=5, choices=range(2, MOST_PAIRS + 1))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--only", choices=("bare", "open_clip"))
    parser.add_argument("--environment", default=str(ROOT / "build" / "open_clip"))
    parser.add_argument("--open-clip", default="", help="further options of open_clip_train.main")
    parser.add_argument("--patch-size", type=int, default=Towers.patch_size)
    parser.add_argument("--context", type=int, default=Towers.context)
    parser.add_argument("--no-stages", action="store_true", help="do not take the trainings apart")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loupe-peers-") as temporary:
        work = Path(temporary)
        sides, report = make_sides(asked, work)
        report |= {"steps": asked.steps, "runs": []}
        for run in range(asked.runs):
            for side in sides if run % 2 == 0 else reversed(sides):
                result = measure(side, asked.steps, Towers.batch, work / f"{run}-{side.name}")
                report["runs"].append({"run": run + 1, **result})
                print({**report["runs"][-1], "losses": "..."}, file=sys.stderr, flush=True)
        report["ratios"] = ratios(report["runs"])
        if not asked.no_stages:
            report["stages"] = {side.name: stages(side, work / f"stages-{side.name}") for side in sides}
    print(markdown(report))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
