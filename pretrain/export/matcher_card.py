"""The model card of an exported matcher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_filters.matching import SETTINGS, MatchingSettings
from pretrain.export.model_card import NO_SCORES, data_lines
from pretrain.export.record import RECORD

_USAGE = """\
```python
from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval

model = BlipForImageTextRetrieval.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
processor = AutoImageProcessor.from_pretrained(folder)
texts = tokenizer(["a red umbrella"], padding=True, truncation=True, return_tensors="pt")
pixels = processor(image, return_tensors="pt").pixel_values
match = model(pixel_values=pixels, **texts).itm_score.softmax(-1)[:, 1]
cosine = model(pixel_values=pixels, **texts, use_itm_head=False).itm_score
```
"""


# Any: JSON values.
def write_matcher_card(folder: Path, record: Mapping[str, Any], settings: MatchingSettings) -> None:
    """Write `README.md` into an export. `record` is the content of its `export.json`."""
    config = record["config"]
    image, text = config["model"]["image"], config["model"]["text"]
    schedule, weights = config["schedule"], config["objectives"]
    length = f"{schedule['steps']} steps" if schedule["steps"] else f"{schedule['epochs']} epochs"
    start = config["model"]["pretrained"]
    lines = [
        "---",
        "library_name: transformers",
        "---",
        "",
        f"# {record['name']}",
        "",
        f"Tells whether a caption belongs to an image, {record['parameters']:,} parameters, pretrained with loupe. A "
        "stock `BlipForImageTextRetrieval`: it opens with transformers alone, and `loupe curate` takes it as the model "
        "of its rule `matching`.",
        "",
        _USAGE,
        f"`{SETTINGS}` holds the temperature of the contrastive loss, {settings.temperature:.4g}, and the token in "
        f"place 0 of a caption that attends to the image, `{settings.first_token}`.",
        "",
        "## Recipe",
        "",
        "| | |",
        "|---|---|",
        f"| start | {f'`{start}`' if start else 'random weights'} |",
        f"| image encoder | ViT, width {image['width']}, layers {image['layers']}, {image['image_size']} px |",
        f"| text encoder | BERT with cross-attention, width {text['width']}, layers {text['layers']}, tokenizer "
        f"`{config['tokenizer']}` |",
        f"| objectives | ITC × {weights['itc']['weight']}, ITM × {weights['itm']['weight']} |",
        f"| schedule | {length}, batch {config['data']['batch_size']}, peak learning rate "
        f"{config['optimizer']['learning_rate']:g} |",
        f"| weights | {record['checkpoint']} (seed {config['seed']}) |",
        f"| parity | scores differ from the run's by at most {record['max_difference']:.1e} (fp32) |",
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
        "- Scores hold for the data that they name. A matcher knows no name that its training data did not teach.",
        f"- Captions are cut after {text['max_tokens']} tokens. Images are squeezed to {image['image_size']}×"
        f"{image['image_size']} px whatever their shape.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")
