"""The model card: recipe, data, scores and limits of an export, written from its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.common.files import write_text
from pretrain.evaluation.scores import flat_scores, flat_yardsticks, label, meanings, method_of
from pretrain.export.record import RECORD, objective_options

_BEGIN, _END = "<!-- scores -->", "<!-- end of scores -->"
NO_SCORES = (_BEGIN, "Not evaluated yet.", _END)
"""The section of scores of a card before the first evaluation; `add_scores` fills it."""


@dataclass(frozen=True)
class CardTexts:
    """The parts of a card that depend on the format: the library, how it opens the folder, limits."""

    library: str
    opens_with: str
    usage: str
    limits: str = ""


HUGGINGFACE = CardTexts(
    library="transformers",
    opens_with="A stock `VisionTextDualEncoderModel`: it opens with transformers alone.",
    usage="""\
```python
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

model = AutoModel.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
processor = AutoImageProcessor.from_pretrained(folder)
texts = tokenizer(["a red umbrella", "a blue dog"], padding=True, truncation=True, return_tensors="pt")
out = model(**texts, **processor(image, return_tensors="pt"))
out.logits_per_image.softmax(-1)
```
""",
    limits="""\
- The image processor was written for Pillow; with torchvision installed, transformers resizes with other code
  and pixel values differ slightly.
""",
)

SIGLIP = replace(
    HUGGINGFACE,
    opens_with="A stock `SiglipModel`: it opens with transformers alone. It reads texts with their padding.",
    usage=HUGGINGFACE.usage.replace("padding=True", 'padding="max_length"').replace(
        "softmax(-1)", "sigmoid()"
    ),
)
"""The card of a run that started from a whole SigLIP."""

_LIMITS = """\
- Scores hold for the data that they name. Weights that training started from bring what they learned before.
- Captions are cut after {max_tokens} tokens. Images are squeezed to {side}×{side} px whatever their shape.
{format_limits}- Curation does not remove everything: no statement is made about bias, safety or memorised content.
"""


def write_model_card(folder: Path, record: Mapping[str, Any], texts: CardTexts = HUGGINGFACE) -> None:
    """Write `README.md` into an export. `record` is the content of its `export.json`."""
    config = record["config"]
    image, text = config["model"]["image"], config["model"]["text"]
    weights = {name: objective_options(config, name)["weight"] for name in config["objectives"]}
    objectives = ", ".join(f"{name} × {weight}" for name, weight in weights.items())
    start = config.get("start", {}).get("weights")
    schedule = config["schedule"]
    length = f"{schedule['steps']} steps" if schedule["steps"] else f"{schedule['epochs']} epochs"
    lines = [
        "---",
        f"library_name: {texts.library}",
        "pipeline_tag: zero-shot-image-classification",
        "---",
        "",
        f"# {record['name']}",
        "",
        f"An image tower and a text tower in one embedding space of {config['model']['projection_dim']} "
        f"dimensions, {record['parameters']:,} parameters, pretrained with loupe. "
        f"{texts.opens_with}",
        "",
        texts.usage,
        "## Recipe",
        "",
        "| | |",
        "|---|---|",
        f"| image tower | {_tower(image['kind'], image, start)}, {image['image_size']} px |",
        f"| pixels | {_pixels(image)} |",
        f"| text tower | {_tower('bert', text, start)}, tokenizer `{config['tokenizer']}` |",
        f"| objectives | {objectives} |",
        f"| schedule | {length}, batch {config['data']['batch_size']}, peak learning rate "
        f"{config['optimizer']['learning_rate']:g} |",
        f"| weights | {record['checkpoint']} (seed {config['seed']}) |",
        f"| not exported | {_left_out(record['left_out'])} |",
        f"| parity | embeddings differ from the run's by at most {record['max_difference']:.1e} (fp32) |",
        "",
        f"The whole recipe stands in `{RECORD}`.",
        "",
        "## Data",
        "",
        *data_lines(record["data"]),
        "",
        "## Scores",
        "",
        *NO_SCORES,
        "",
        "## Limits",
        "",
        _LIMITS.format(max_tokens=text["max_tokens"], side=image["image_size"], format_limits=texts.limits),
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def add_scores(export: str, results: list[Mapping[str, Any]]) -> None:
    """Put the results of evaluations (contents of `metrics.json`) into the card's section of scores."""
    path = Path(export) / "README.md"
    card = path.read_text(encoding="utf-8")
    head, rest = card.split(_BEGIN, 1)
    tail = rest.split(_END, 1)[1]
    rows = ["| task | data | score | value |", "|---|---|---|---|"]
    rows += [line for result in results for line in _lines(result, flat_scores(result))]
    yardsticks = [line for result in results for line in _lines(result, flat_yardsticks(result))]
    if yardsticks:
        rows += ["", "For comparison, scores without the model:", "", "| task | data | yardstick | value |"]
        rows += ["|---|---|---|---|", *yardsticks, "", f"{meanings(results)}."]
    write_text(path, "\n".join([head + _BEGIN, *rows, _END + tail]))


def _lines(result: Mapping[str, Any], values: list[tuple[str, float]]) -> list[str]:
    """A row of the card's table for each value."""
    task = ", ".join(part for part in (result["task"], method_of(result)) if part)
    return [f"| {task} | `{result['data']}` | {label(name)} | {value:.3f} |" for name, value in values]


def _tower(kind: str, shape: Mapping[str, Any], start: str | None) -> str:
    """The tower in words; `start` is the checkpoint that its weights came from, if any."""
    published = shape["pretrained"]
    if published:  # its own shape stands in place of the recipe's
        tower = f"`{published}`"
    else:
        layers = "-".join(map(str, shape["depths"])) if "depths" in shape else shape["layers"]
        tower = f"{kind}, width {shape['width']}, layers {layers}"
    if start is not None:
        return f"{tower}, from the weights of `{start}`"
    return tower if published else f"{tower}, from random weights"


def _pixels(image: Mapping[str, Any]) -> str:
    """How the pixels of an image are made, in words."""
    mean, std = (", ".join(f"{value:g}" for value in image[key]) for key in ("pixel_mean", "pixel_std"))
    return f"resized to a square ({image['resample']}), mean {mean}, deviation {std}"


def _left_out(counts: Mapping[str, int]) -> str:
    if not counts:
        return "nothing"
    return ", ".join(f"{name} ({count:,} parameters)" for name, count in sorted(counts.items()))


def data_lines(data: Mapping[str, Any]) -> list[str]:
    """The pairs and shards that a run read, for the card."""
    shards = data["shards"]
    if not shards:
        return [f"Shards of `{data['uri']}`, of which the run kept no record."]
    total = sum(shard["samples"] for shard in shards)
    head = f"{total:,} pairs in {len(shards)} curated shards of `{data['uri']}`."
    shown = [f"| `{Path(s['uri']).name}` | {s['samples']:,} | `{s['sha256']}` |" for s in shards[:20]]
    more = [f"| … and {len(shards) - 20} more in `export.json` | | |"] if len(shards) > 20 else []
    return [head, "", "| shard | pairs | sha256 |", "|---|---|---|", *shown, *more]
