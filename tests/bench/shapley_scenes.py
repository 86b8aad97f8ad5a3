"""Icon-world scenes for the Shapley benchmarks, and how well each target separates objects from other boxes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_filters.decode import decode
from data_filters.sample import sample_from_members
from pipelines.shards.manifest import committed_shards
from pipelines.shards.reader import iterate
from pretrain.data.samples.batch import normalised
from pretrain.data.samples.images import Augmentation, crop
from pretrain.data.samples.phrase_tokens import align_phrases
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export.run_folder import find_checkpoint, load_weights, open_run, restore_encoder
from pretrain.models.dual_encoder import DualEncoder
from pretrain.shapley import TokenGame, merged_interaction, region_targets

Box = tuple[float, float, float, float]  # x, y, width, height as fractions of the image


@dataclass(frozen=True)
class Scenes:
    """Images with their captions, the boxes of their objects and the phrases that mention them."""

    pixel_values: Float[Tensor, "B 3 H W"]
    input_ids: Tensor
    attention_mask: Tensor
    boxes: list[list[Box]]
    phrase_tokens: Bool[Tensor, "B N L"]  # tokens of the phrases that mention an object
    mentioned: list[
        dict[int, Tensor]
    ]  # number of an object → token ids of the phrase that mentions it, as a text

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs of a TokenGame."""
        return self.pixel_values, self.input_ids, self.attention_mask

    def first_objects(self, grid: tuple[int, int]) -> Bool[Tensor, "B C"]:
        """Cells of each scene's first object."""
        return torch.stack([cells_of(boxes[0], grid) for boxes in self.boxes])


def load_encoder(run: str) -> DualEncoder:
    """The run's newest dual encoder, on the CPU in fp32."""
    opened = open_run(run)
    return restore_encoder(opened, load_weights(find_checkpoint(opened)))


def load_scenes(run: str, data: str, count: int, grid: tuple[int, int]) -> Scenes:
    """The first `count` scenes of the shards whose objects cover at least two cells each."""
    config = open_run(run).config
    tokenizer = load_tokenizer(config.tokenizer)
    whole = Augmentation(scale=None)
    images, captions, boxes, mentions, mentioned = [], [], [], [], []
    shards = [shard.uri for shard in committed_shards(data)] or sorted(map(str, Path(data).glob("*.tar")))
    for uri in shards:
        for key, members in iterate(uri):
            if len(images) == count:
                break
            sample = sample_from_members(key, members)
            if not sample.metadata or not sample.image or not sample.caption:
                continue
            width, height = sample.metadata["width"], sample.metadata["height"]
            found = [
                (x / width, y / height, w / width, h / height)
                for x, y, w, h in (item["box"] for item in sample.metadata["objects"])
            ]
            if not found or min(int(cells_of(box, grid).sum()) for box in found) < 2:
                continue
            size = config.model.image.image_size
            values = crop(decode(sample.image), size, sample.caption, whole, np.random.default_rng(0))
            images.append(normalised(torch.from_numpy(values), torch.float32).numpy())
            captions.append(sample.caption)
            boxes.append(found)
            listed = sample.metadata.get("mentions", [])
            mentions.append([(item["start"], item["end"]) for item in listed])
            mentioned.append(
                {
                    item["object"]: tokenizer(
                        sample.caption[item["start"] : item["end"]], return_tensors="pt"
                    )["input_ids"]
                    for item in listed
                }
            )
    text = tokenizer(
        captions,
        padding=True,
        truncation=True,
        max_length=config.model.text.max_tokens,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    phrases = align_phrases(text["offset_mapping"], mentions, max(map(len, mentions))).tokens
    return Scenes(
        torch.from_numpy(np.stack(images)),
        text["input_ids"],
        text["attention_mask"],
        boxes,
        phrases,
        mentioned,
    )


def cells_of(box: Box, grid: tuple[int, int]) -> Bool[Tensor, " C"]:
    """Cells whose centre lies in the box."""
    x, y, width, height = box
    rows = (torch.arange(grid[0]) + 0.5) / grid[0]
    columns = (torch.arange(grid[1]) + 0.5) / grid[1]
    inside = ((rows >= y) & (rows < y + height))[:, None] & ((columns >= x) & (columns < x + width))[None]
    return inside.flatten()


def rivals(
    cells: Bool[Tensor, "R C"], objects: Bool[Tensor, "R C"], rng: np.random.Generator
) -> dict[str, Bool[Tensor, "R C"]]:
    """Boxes of cells to compare an object's box with: none where the image has no room."""
    filled = cells.nonzero()
    top, left = filled.min(0).values.tolist()
    bottom, right = (filled.max(0).values + 1).tolist()
    height, width = bottom - top, right - left
    rows, columns = cells.shape

    def box(y: int, x: int, tall: int, wide: int) -> Tensor:
        mask = torch.zeros(rows, columns, dtype=torch.bool)
        mask[max(y, 0) : max(y + tall, 0), max(x, 0) : max(x + wide, 0)] = True
        return mask

    found = {"object": box(top, left, height, width)}
    free = [
        (y, x)
        for y in range(rows - height + 1)
        for x in range(columns - width + 1)
        if not (box(y, x, height, width) & objects).any()
    ]
    if free:
        found["background"] = box(*free[rng.integers(len(free))], height, width)
    down, across = -(-height // 2), -(-width // 2)
    moved = [(top + down, left), (top - down, left), (top, left + across), (top, left - across)]
    inside = [(y, x) for y, x in moved if 0 <= y <= rows - height and 0 <= x <= columns - width]
    if inside:
        found["shifted"] = box(*inside[rng.integers(len(inside))], height, width)
    larger = box(top - 1, left - 1, height + 2, width + 2)
    if larger.sum() > found["object"].sum():
        found["larger"] = larger
    return found


def object_separation(model: DualEncoder, scenes: Scenes, budget: int = 96) -> str:
    """For every target and context: how often the object's box scores above its rivals, as a Markdown table.

    AUC over all pairs of an object's box and a background box of the same size; share of objects that beat their own
    half-shifted box, and their own box made one cell larger each way. One estimate of `budget` evaluations each.
    """
    rng = np.random.default_rng(0)
    names = ("object", "background", "shifted", "larger")
    rows: list[tuple[int, Tensor, Tensor]] = []  # scene, four boxes of cells, which of them exist
    for scene, boxes in enumerate(scenes.boxes):
        cells = [cells_of(box, model.grid).view(model.grid) for box in boxes]
        objects = torch.stack(cells).any(0)
        for mask in cells:
            found = rivals(mask, objects, rng)
            stack = torch.stack([found.get(name, torch.zeros_like(mask)).flatten() for name in names])
            rows.append((scene, stack, torch.tensor([name in found for name in names])))
    order = torch.tensor([scene for scene, _, _ in rows])
    masks, real = torch.stack([m for _, m, _ in rows]), torch.stack([r for _, _, r in rows])
    lines = [
        f"{len(rows)} objects of {len(scenes.boxes)} scenes, {budget} evaluations a box",
        "",
        "| context | target | size exponent | AUC over background | over half-shifted | over larger |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for context in ("players", "full_text"):
        game = TokenGame(model, *(tensor[order] for tensor in scenes.inputs), context=context, chunk=512)
        members = torch.zeros(len(rows), 4, game.player_mask.shape[1], dtype=torch.bool)
        members[..., : game.cells] = masks
        generator = torch.Generator().manual_seed(0)
        estimate = merged_interaction(game, members, game.player_mask, budget, generator)
        for target in ("interaction", "abs_interaction", "value"):
            for exponent in (0.0, 0.5, 1.0):
                worth = region_targets(estimate, target, exponent)[0]
                objects_worth, background = worth[real[:, 0], 0], worth[real[:, 1], 1]
                above = (objects_worth[:, None] > background).double().mean().item()
                cells = [
                    f"{(worth[real[:, r], 0] > worth[real[:, r], r]).double().mean().item():.2f}"
                    for r in (2, 3)
                ]
                lines.append(
                    f"| {context} | {target} | {exponent:g} | {above:.2f} | " + " | ".join(cells) + " |"
                )
    return "\n".join(lines)
