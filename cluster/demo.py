"""`loupe demo`: renders the icon world, curates it, pretrains, exports, evaluates and writes the report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from cluster.console import progress, training_lines
from cluster.recipes import load_recipe
from cluster.shipped import CURATION, PRETRAINING
from pipelines.common.files import write_text
from pipelines.common.paths import require_local

Step = TypeVar("Step")
Metrics = dict[str, Any]
"""The metrics of an evaluation as JSON holds them; tasks differ in their keys, so values are Any."""

IMAGE_SIZE = 112
# Few kinds of objects and many images with a single one: minutes on two cores suffice to learn them.
NAMES, SINGLE_SHARE = 12, 0.6
CURATION_RECIPE, PRETRAINING_RECIPE = "icon_world", "icon_world_boxes"
# One judge for every way to boxes: the pixels of a box with the rest in the image's median color.
JUDGE = {"gallery": 128, "embedding": "ends", "cover": "pixels", "fill": "median", "pooling": "max_pooled"}
DETECT = JUDGE | {"calibration": "evidence", "templates": "icon"}
REGIONS = {"proposals": "regions", "regions": 32}
EVALUATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "retrieval": ("retrieval", "test", {"gallery": 256}),
    "retrieval-phrases": ("retrieval", "test", {"gallery": 256, "scoring": "phrases", "examples": 0}),
    "retrieval-unseen": ("retrieval", "unseen", {"gallery": 256}),
    "grounding": ("grounding", "test", JUDGE | REGIONS),
    "grounding-unseen": ("grounding", "unseen", JUDGE | REGIONS),
    "grounding-parts": ("grounding", "test", JUDGE | {"proposals": "parts"}),
    "grounding-saliency": ("grounding", "test", JUDGE | {"proposals": "saliency", "examples": 0}),
    "grounding-pixel": ("grounding", "test", JUDGE | {"proposals": "pixel", "examples": 0}),
    "detection": ("detection", "test", DETECT | REGIONS),
    "detection-parts": ("detection", "test", DETECT | {"proposals": "parts"}),
    "detection-saliency": ("detection", "test", DETECT | {"proposals": "saliency", "examples": 0}),
    "detection-pixel": ("detection", "test", DETECT | {"proposals": "pixel", "examples": 0}),
    "alignment": ("alignment", "test", {"gallery": 32, "examples": 4}),
}
"""The evaluations of the demo: name → (task, split, options)."""


def run_demo(output: str, *, pairs: int, seed: int, sets: list[str]) -> dict[str, Any]:
    """Run the chain into `output`: report.html, metrics.json, export/ and the results of the steps before them.

    Steps whose results are there are not repeated. Returns the scores and the seconds that each step took.
    """
    from pipelines.ray_tasks import running_ray
    from pretrain.evaluation.runner import headline_numbers

    folder = Path(require_local("output", output))
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], Step]) -> Step:
        start = time.perf_counter()
        result = work()
        seconds[step] = round(time.perf_counter() - start, 1)
        return result

    timed("world", lambda: _render(folder / "world", pairs, seed))
    with running_ray(None):  # once for both steps: starting Ray takes longer than curating this world
        timed("curate", lambda: _curate(folder / "world" / "train", folder / "curated"))
        timed("pretrain", lambda: _pretrain(folder / "curated", folder / "run", seed, sets))
    timed("export", lambda: _export(folder / "run", folder / "export"))
    metrics = timed("evaluate", lambda: _evaluate(folder / "export", folder / "world", folder / "evaluation"))
    timed("report", lambda: _report(folder, metrics))
    shown = {name: headline_numbers(values) for name, values in metrics.items()}
    result = {**shown, "seconds": seconds | {"total": round(sum(seconds.values()), 1)}}
    write_text(folder / "metrics.json", json.dumps(result, indent=1))
    return result | {"report": str(folder / "report.html")}


def _render(world: Path, pairs: int, seed: int) -> None:
    """Render the world, unless it is whole already."""
    from pipelines.icon_world import render_world

    if (world / "world.json").exists():
        return
    shutil.rmtree(world, ignore_errors=True)  # an unfinished rendering
    with progress("rendering") as tick:
        render_world(
            str(world),
            pairs,
            seed,
            image_size=IMAGE_SIZE,
            flaws=True,
            names=NAMES,
            single_share=SINGLE_SHARE,
            progress=tick,
        )


def _curate(raw: Path, curated: Path) -> None:
    """Curate the training split by the shipped recipe."""
    from pipelines.curate.config import CurateConfig
    from pipelines.curate.run import curate

    config = load_recipe(CurateConfig, CURATION, CURATION_RECIPE)
    with progress("curating") as tick:
        curate(config, str(raw), str(curated), progress=lambda now: tick(now.done, now.total))


def _pretrain(data: Path, run: Path, seed: int, sets: list[str]) -> None:
    """Pretrain on two Ray workers by the shipped recipe and the overrides `sets`."""
    from pretrain.tasks import config_class
    from pretrain.training.launch_ray import run_distributed
    from pretrain.training.setup import prepare_run

    config = load_recipe(config_class, PRETRAINING, PRETRAINING_RECIPE, [f"seed={seed}", *sets])
    prepared = prepare_run(config, str(data), str(run))
    with training_lines(prepared.total_steps, "starting workers") as (report, _):
        run_distributed(prepared, report)


def _export(run: Path, export: Path) -> None:
    """Export the newest checkpoint in the format of Hugging Face."""
    from pretrain.export.hugging_face import export_run

    export_run(str(run), str(export))


def _evaluate(export: Path, world: Path, output: Path) -> dict[str, Metrics]:
    """The metrics of every evaluation of the demo by its name."""
    from pretrain.evaluation.runner import run_evaluation

    scores = {}
    for name, (task, split, options) in EVALUATIONS.items():
        with progress(f"{name}, {split}") as tick:
            data, folder = str(world / split), str(output / name)
            scores[name] = run_evaluation(task, str(export), data, folder, options=options, progress=tick)
    return scores


def _report(folder: Path, metrics: dict[str, Metrics]) -> None:
    """Write report.html, and the scores into the export's model card."""
    from pretrain.export.model_card import add_scores
    from pretrain.report.run_page import write_report

    write_report(
        str(folder / "report.html"),
        run=str(folder / "run"),
        curation=str(folder / "curated"),
        evaluations=[str(folder / "evaluation" / name) for name in metrics],
    )
    add_scores(str(folder / "export"), list(metrics.values()))
