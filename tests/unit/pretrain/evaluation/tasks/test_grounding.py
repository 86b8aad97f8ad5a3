import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation.proposals import PROPOSERS, Candidates, proposal_options
from pretrain.evaluation.metrics.boxes import in_pixels
from pretrain.evaluation.tasks.grounding import evaluate_grounding, ground
from pretrain.evaluation.token_encoder import TokenEncoder


def plain_iou(a, b):
    left, right = max(a[0], b[0]), min(a[0] + a[2], b[0] + b[2])
    top, bottom = max(a[1], b[1]), min(a[1] + a[3], b[1] + b[3])
    shared = max(0, right - left) * max(0, bottom - top)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def cut(box):
    """The part of a box inside the image of 20×24 px."""
    left, top = max(box[0], 0), max(box[1], 0)
    return left, top, min(box[0] + box[2], 20) - left, min(box[1] + box[3], 24) - top


@pytest.fixture
def answers(scenes, monkeypatch):
    """A way to boxes that gives known ones, some right and some not; what it will give, scene by scene."""
    generator = np.random.default_rng(0)
    given = []
    for scene in SceneStream(scenes):
        boxes = np.array([scene.objects[one.target].box for one in scene.expressions])
        boxes[:, :2] += generator.uniform(0, 5, (len(boxes), 2))  # no IoU of exactly 0.5
        given.append(boxes)
    left = iter(given)

    def answer(encoder, pixels, texts, options, count):
        boxes = torch.tensor(next(left)) / torch.tensor([20, 24, 20, 24])
        centred = torch.cat([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], 1)[:, None]
        return Candidates(centred, torch.ones(len(boxes), 1, dtype=torch.bool), torch.ones(len(boxes), 1))

    monkeypatch.setitem(PROPOSERS, "known", answer)
    return given


def test_accuracy_is_that_of_a_plain_loop(export, scenes, answers, tmp_path):
    found, kinds, truth_alone, dealt = [], [], [], []
    for scene, boxes in zip(SceneStream(scenes), answers, strict=True):
        for one, box in zip(scene.expressions, boxes, strict=True):
            target = scene.objects[one.target].box
            found.append(plain_iou(cut(box), target))
            kinds.append(one.kind)
            alike = [plain_iou(target, other.box) >= 0.5 for other in scene.objects]
            truth_alone.append(sum(alike) / len(alike))
            dealt.append(np.mean([plain_iou(cut(other), target) >= 0.5 for other in boxes]))
    expected = np.array(found)
    assert 0.1 < (expected >= 0.5).mean() < 0.9
    output = tmp_path / "scores"
    metrics = evaluate_grounding(export, scenes, str(output), proposals="known", examples=3)
    assert metrics["accuracy@0.5"] == pytest.approx((expected >= 0.5).mean())
    assert metrics["accuracy@0.3"] == pytest.approx((expected >= 0.3).mean())
    assert metrics["mean_iou"] == pytest.approx(expected.mean())
    assert metrics["text_blind"] == pytest.approx(np.mean(dealt))
    assert metrics["text_blind"] < metrics["accuracy@0.5"]
    assert metrics["chance_object"] == pytest.approx(np.mean(truth_alone))
    for kind in ("full", "name"):
        own = expected[[one == kind for one in kinds]]
        assert metrics["per_kind"][kind] == pytest.approx((own >= 0.5).mean())
    assert (metrics["count"], metrics["images"], metrics["skipped"]) == (len(expected), 9, {"no_boxes": 1})
    assert (metrics["task"], metrics["export"], metrics["data"]) == ("grounding", export, scenes)
    assert json.loads((output / "metrics.json").read_text()) == metrics
    examples = json.loads((output / "examples.json").read_text())["grounding"]
    assert [one["image"] for one in examples] == [0, 2, 6]
    for one in examples:
        assert one["iou"] == pytest.approx(plain_iou(one["box"], one["truth"]), abs=0.02)
        assert (output / "examples" / f"{one['image']}.jpg").is_file()


COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColorCells(torch.nn.Module):
    """A dual encoder whose meaning is known: a cell's token is its mean colour less gray, an image their mean."""

    grid = (8, 8)

    def encode_image(self, pixel_values, keep=None):
        cells = F.avg_pool2d(pixel_values, 8).flatten(2).transpose(1, 2)
        kept = cells if keep is None else cells * keep.unsqueeze(-1)
        tokens = torch.cat([cells, torch.full_like(cells[..., :1], 0.05)], -1)
        whole = torch.cat([kept.mean(1), torch.full_like(kept[:, 0, :1], 0.05)], -1)
        return F.normalize(whole, dim=-1), F.normalize(tokens, dim=-1)


class ColorEncoder(TokenEncoder):
    """`ColorCells` in the place of an export; a text is the first colour that it names."""

    def __init__(self):
        self.dual, self.grid, self.device = ColorCells(), (8, 8), torch.device("cpu")
        self.region_generator = None

    def pixels(self, images):
        return torch.stack(
            [
                torch.tensor(np.asarray(image.resize((64, 64), 0)), dtype=torch.float32).permute(2, 0, 1)
                / 127.5
                - 1
                for image in images
            ]
        )

    def texts(self, texts, chunk=256):
        rows = [next(value for name, value in COLORS.items() if name in text.split()) for text in texts]
        return F.normalize(
            torch.tensor([[*row, 0.0] for row in rows]) / 127.5 - torch.tensor([1, 1, 1, 0.0]), dim=-1
        )


@pytest.mark.parametrize("way", ["pixel", "kmeans", "saliency", "attribution"])
def test_what_is_named_is_found(way):
    image = Image.new("RGB", (128, 64), (128, 128, 128))
    pen = ImageDraw.Draw(image)
    truth = {"red": (16, 8, 32, 24), "green": (80, 0, 32, 16), "blue": (64, 40, 48, 24)}
    for name, (left, top, width, height) in truth.items():
        pen.rectangle([left, top, left + width - 1, top + height - 1], fill=COLORS[name])
    encoder = ColorEncoder()
    texts = encoder.texts([f"the {name} thing" for name in truth])
    options = proposal_options({"evaluations": 200, "clusters": 4, "box": "hull"})
    boxes = ground(encoder, PROPOSERS[way], encoder.pixels([image]), texts, options)
    for box, expected in zip(in_pixels(boxes, image.size), truth.values(), strict=True):
        assert plain_iou(box, expected) > 0.7


@pytest.mark.parametrize("way", [None, "kmeans", "saliency"])
def test_of_shared_candidates_the_nearest_is_taken(region_export, scenes, way):
    encoder = TokenEncoder(region_export)
    scene = next(iter(SceneStream(scenes)))
    pixels, texts = encoder.pixels([scene.image]), encoder.texts(["red dog", "cup", "boat"])
    options = proposal_options({"regions": 4, "clusters": 3})
    proposer = PROPOSERS[way or "regions"]
    found = ground(encoder, proposer, pixels, texts, options)
    candidates = proposer(encoder, pixels, texts, options, 1).boxes[0]
    for text, box in zip(texts, found, strict=True):
        scores = []
        for one in candidates:
            # By hand: cells whose centre is inside, and the one that holds the box's own centre.
            keep = torch.zeros(1, 4)
            for cell, (x, y) in enumerate([(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]):
                inside = abs(x - one[0]) <= one[2] / 2 and abs(y - one[1]) <= one[3] / 2
                home = int(one[0] * 2) + 2 * int(one[1] * 2) == cell
                keep[0, cell] = float(inside or home)
            scores.append(float(encoder.masked(pixels, keep)[0] @ text))
        best = max(scores)
        assert any(
            torch.equal(box, one)
            for one, score in zip(candidates, scores, strict=True)
            if score > best - 1e-6
        )


def test_user_errors(export, scenes, shards, tmp_path):
    with pytest.raises(InputError, match="has no referring expression"):
        evaluate_grounding(export, shards)
    with pytest.raises(InputError, match="proposals is 'luck'"):
        evaluate_grounding(export, scenes, proposals="luck")
    with pytest.raises(InputError, match="'colour' is unknown"):
        evaluate_grounding(export, scenes, colour="red")
    output = str(tmp_path / "out")
    evaluate_grounding(export, scenes, output, proposals="pixel", gallery=2)
    assert Path(output, "metrics.json").is_file()
    with pytest.raises(InputError, match="proposals 'pixel', this is proposals 'gradcam'"):
        evaluate_grounding(export, scenes, output, proposals="gradcam", gallery=2)
