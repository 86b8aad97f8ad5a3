"""open_clip's own training, and what its towers cost; runs in open_clip's environment (see `environment.py`).

    python open_clip_side.py MODEL.json train [--stages FILE] -- ARGUMENTS of open_clip_train.main
    python open_clip_side.py MODEL.json count

`MODEL.json` is registered by `open_clip.add_model_config`; its name without the ending is that of the model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

# torchvision's wheel loads its compiled operators (boxes of detectors) only beside torch's CUDA build, and its import
# fails where two of them are unknown. Nothing here calls them: its transforms of images are Python and Pillow.
try:
    import torchvision  # noqa: F401
except RuntimeError:
    BOXES = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        BOXES.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import open_clip
import open_clip_train.data
import open_clip_train.main
import open_clip_train.train

sys.path.insert(0, str(Path(__file__).parent))
from stage_clock import StageClock


def count(model: str) -> dict[str, float]:
    """Parameters, and FLOPs a pair of a forward and a backward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    config = open_clip.get_model_config(model)
    size, text, pairs = config["vision_cfg"]["image_size"], config["text_cfg"], 4
    towers = open_clip.create_model(model, output_dict=True)
    pixels = torch.zeros(pairs, 3, size, size)
    tokens = torch.full((pairs, text["context_length"]), text["eos_id"])
    with FlopCounterMode(display=False) as flops:
        features = towers(pixels, tokens)
        open_clip.ClipLoss()(**features, output_dict=True)["contrastive_loss"].backward()
    return {
        "parameters": sum(each.numel() for each in towers.parameters()),
        "flops_a_pair": flops.get_total_flops() / pairs,
    }


# Any: open_clip has no types.
def watch_stages(clock: StageClock) -> None:
    """Wrap the functions of open_clip that a step consists of. Reading must be in this process: `--workers 0`."""
    main, train, images = open_clip_train.main, open_clip_train.train, open_clip_train.data.wds.autodecode
    make_model, make_loss, make_tokenizer = (
        main.create_model_and_transforms,
        main.create_loss,
        main.get_tokenizer,
    )
    get_data = main.get_data

    def create_model_and_transforms(*arguments: Any, **options: Any) -> Any:
        towers, of_training, of_evaluation = make_model(*arguments, **options)
        towers.forward = clock.clocked("forward", towers.forward)
        return towers, clock.clocked("augment", of_training), of_evaluation

    def data(*arguments: Any, **options: Any) -> Any:
        found = get_data(*arguments, **options)
        found["train"].dataloader = _Watched(clock, found["train"].dataloader)
        return found

    main.create_model_and_transforms, main.get_data = create_model_and_transforms, data
    main.create_loss = lambda arguments: clock.clocked("loss", make_loss(arguments))
    main.get_tokenizer = lambda *arguments, **options: clock.clocked(
        "tokenise, collate", make_tokenizer(*arguments, **options)
    )
    images.ImageHandler.__call__ = clock.clocked("decode", images.ImageHandler.__call__)
    train.backward = clock.clocked("backward", train.backward)
    torch.optim.AdamW.step = clock.clocked("optimiser", torch.optim.AdamW.step)


class _Watched:
    """A loader of batches whose own work counts as reading."""

    def __init__(self, clock: StageClock, loader: Any) -> None:
        self.clock, self.loader = clock, loader
        self.num_batches, self.num_samples = loader.num_batches, loader.num_samples

    def __iter__(self) -> Any:
        return self.clock.clocked_items("read", self.loader)


def main() -> None:
    path, verb, *rest = sys.argv[1:]
    open_clip.add_model_config(path)
    if verb == "count":
        print(json.dumps(count(Path(path).stem)))
        return
    place = rest.index("--")
    arguments = ["--model", Path(path).stem, *rest[place + 1 :]]
    if place == 0:
        open_clip_train.main.main(arguments)
        return
    clock = StageClock()
    watch_stages(clock)
    open_clip_train.main.main(arguments)
    pairs = int(arguments[arguments.index("--batch-size") + 1])
    Path(rest[1]).write_text(json.dumps(clock.milliseconds(pairs)))


if __name__ == "__main__":
    main()
