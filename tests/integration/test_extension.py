"""A new filter, objective, supplier, task and evaluation task: one file and one registry line each, no other change."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROOMS = ("data_filters", "pipelines", "pretrain", "cluster")
LONGEST = 45  # characters of a caption

FILES = {
    "data_filters/characters.py": """
from data_filters.filter import Facts, Filter, Limit


def _characters(facts: Facts) -> float:
    return float(len(facts.caption))


LONG_CAPTION = Filter(
    score="caption_length",
    measure=_characters,
    at_most=Limit(key="max_caption_length", default=500, unit="characters", description="characters of the caption"),
)
""",
    "pretrain/supervision/brightness_teacher.py": """
from pretrain.step_context import StepContext
from pretrain.supervision.supplier import Supplied, Supplier, SupplierInputs, SupplierSetting


class BrightnessTeacher(Supplier):
    @classmethod
    def build(cls, setting: SupplierSetting) -> "BrightnessTeacher":
        return cls()

    def forward(self, inputs: SupplierInputs, step: StepContext) -> Supplied:
        brightness = inputs.batch.pixel_values.float().mean((1, 2, 3))
        return Supplied(brightness, {"brightness": brightness.mean()})
""",
    "pretrain/objectives/brightness.py": """
from pydantic import Field
from torch import Tensor

from pretrain.objectives.inputs import ObjectiveInputs
from pretrain.objectives.objective import Objective, ObjectiveOptions


class BrightnessOptions(ObjectiveOptions):
    factor: float = Field(1.0, gt=0, description="factor of the brightness")


def _loss(inputs: ObjectiveInputs, options: BrightnessOptions) -> dict[str, Tensor]:
    brightness = inputs.required_targets_of("brightness_teacher", Tensor)
    predicted = inputs.features.images[:, 0].float()
    return {"brightness_loss": (predicted - options.factor * brightness).square().mean()}


BRIGHTNESS = Objective(_loss, BrightnessOptions, needs=("brightness_teacher",))
""",
    "pretrain/tasks/counted.py": """
import torch

from pretrain.tasks.dual_encoder import DualEncoderTask


class CountedDualEncoder(DualEncoderTask):
    def losses(self, features, batch, step):
        return super().losses(features, batch, step) | {"steps_seen": torch.tensor(float(step.step + 1))}
""",
    "pretrain/evaluation/tasks/mean_cosine.py": """
from pydantic import Field

from pretrain.evaluation.data.gallery import embed_gallery
from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.task import EvaluationTask


class MeanCosineOptions(EvaluationOptions):
    scale: float = Field(1.0, gt=0, description="factor of the mean")


class MeanCosine(EvaluationTask):
    options = MeanCosineOptions

    def measure(self, evaluation):
        options = evaluation.options
        return embed_gallery(evaluation.encoder, evaluation.data, size=options.gallery, batch_size=options.batch_size)

    def summary(self, evaluation, measured):
        cosines = measured.images @ measured.texts.T
        return {"mean_cosine": evaluation.options.scale * float(cosines.mean())}
""",
}
LINES = {
    "data_filters/__init__.py": (
        "from data_filters.characters import LONG_CAPTION",
        '    "long_caption": LONG_CAPTION,',
    ),
    "pretrain/supervision/__init__.py": (
        "from pretrain.supervision.brightness_teacher import BrightnessTeacher",
        '    "brightness_teacher": BrightnessTeacher,',
    ),
    "pretrain/objectives/__init__.py": (
        "from pretrain.objectives.brightness import BRIGHTNESS",
        '    "brightness": BRIGHTNESS,',
    ),
    "pretrain/tasks/__init__.py": (
        "from pretrain.tasks.counted import CountedDualEncoder",
        '    "counted": CountedDualEncoder,',
    ),
    "pretrain/evaluation/tasks/__init__.py": (
        "from pretrain.evaluation.tasks.mean_cosine import MeanCosine",
        '    "mean-cosine": MeanCosine(),',
    ),
}
"""Registry → its import and its one line."""

PRETRAINING = {
    "task": "counted",
    "model": {
        "projection_dim": 16,
        "image": {"kind": "vit", "image_size": 32, "patch_size": 8, "width": 16, "depths": [1], "heads": [2]},
        "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "max_tokens": 16},
    },
    "objectives": {"contrastive": {}, "brightness": {"factor": 0.5}},
    "data": {"batch_size": 4},
    "engine": {"precision": "fp32"},
    "schedule": {"steps": 30, "log_every": 1},
    "optimizer": {"learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the four rooms with the new files and registry lines."""
    copy = tmp_path_factory.mktemp("extended")
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in FILES.items():
        (copy / path).write_text(text.lstrip())
    for path, (imported, entry) in LINES.items():
        lines = (copy / path).read_text().splitlines()
        end = lines.index("}")  # of the registry, the first dict of its file
        last_import = max(number for number, line in enumerate(lines[:end]) if line.startswith("from "))
        lines.insert(end, entry)
        lines.insert(last_import, imported)  # in front: the last import may go on below its line
        (copy / path).write_text("\n".join(lines) + "\n")
    return copy


def loupe(extended: Path, *arguments: str, code: int = 0) -> str:
    """Run the command from the extended copy; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "cluster.cli", *arguments],
        cwd=extended,
        env=os.environ | {"PYTHONPATH": str(extended), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def captions(folder: Path) -> list[str]:
    texts = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".txt"):
                    file = tar.extractfile(member)
                    assert file is not None
                    texts.append(file.read().decode())
    return texts


@pytest.mark.ray
def test_all_of_them_work_and_nothing_else_changed(extended, tmp_path):
    world, curated, run = tmp_path / "world", tmp_path / "curated", tmp_path / "run"
    loupe(extended, "world", "--output", str(world), "--pairs", "60", "--image-size", "64", "--names", "8")

    limits = {"min_side": 32, "min_words": 1, "max_caption_length": LONGEST}
    (tmp_path / "curation.yaml").write_text(yaml.safe_dump(limits))
    summary = json.loads(
        loupe(
            extended,
            *("curate", str(tmp_path / "curation.yaml"), "--json"),
            *("--input", str(world / "train"), "--output", str(curated)),
        )
    )
    long = sum(len(caption) > LONGEST for caption in captions(world / "train"))
    counts = {counts["name"]: counts for counts in summary["funnel"]["filters"]}
    assert counts["long_caption"]["rejected"] == long > 0
    assert len(captions(curated)) == 60 - long

    (tmp_path / "training.yaml").write_text(yaml.safe_dump(PRETRAINING))
    loupe(
        extended,
        *("pretrain", str(tmp_path / "training.yaml"), "--local"),
        *("--data", str(curated), "--output", str(run)),
    )
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["train/brightness_loss"] < lines[0]["train/brightness_loss"]
    assert [line["train/steps_seen"] for line in lines] == list(range(1, 31))
    assert "train/brightness" in lines[0]
    record = json.loads((run / "config.json").read_text())["config"]
    assert record["objectives"]["brightness"] == {"weight": 1.0, "factor": 0.5}

    loupe(extended, "export", str(run), "--output", str(tmp_path / "export"))
    evaluate = ("evaluate", str(tmp_path / "export"), "--task", "mean-cosine", "--data", str(world / "test"))
    loupe(extended, *evaluate, "--output", str(tmp_path / "scores"), "--gallery", "8", "--set", "scale=2")
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert -2 <= metrics["mean_cosine"] <= 2
    message = loupe(extended, *evaluate, "--output", str(tmp_path / "x"), "--set", "scal=2", code=2)
    assert "did you mean scale" in message

    for key in ("objectives.brightness.factor", "max_caption_length"):
        assert key in loupe(extended, "recipes", "options", key)
    assert_only_files_and_lines_were_added(extended)


def assert_only_files_and_lines_were_added(extended: Path) -> None:
    """The copy differs from the project by the new files and, in each registry, an import and one line."""
    for room in ROOMS:
        sources = {path.relative_to(ROOT) for path in (ROOT / room).rglob("*.py")}
        copied = {path.relative_to(extended) for path in (extended / room).rglob("*.py")}
        assert {str(path) for path in copied - sources} == {
            path for path in FILES if path.startswith(f"{room}/")
        }
        for path in sources:
            before, after = ((folder / path).read_text().splitlines() for folder in (ROOT, extended))
            changed = [line for line in difflib.ndiff(before, after) if line[:2] in ("+ ", "- ")]
            expected = [f"+ {line}" for line in LINES.get(str(path), ())]
            assert sorted(changed) == sorted(expected), path
