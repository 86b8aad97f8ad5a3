import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn import functional as F

from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation import PROPOSERS
from pretrain.evaluation.localisation.candidates import Candidates
from pretrain.evaluation.localisation.grounding import ground
from pretrain.evaluation.localisation.judge import Judge
from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.metrics.boxes import in_pixels
from pretrain.evaluation.token_encoder import TokenEncoder


def plain_iou(a, b):
    left, right = max(a[0], b[0]), min(a[0] + a[2], b[0] + b[2])
    top, bottom = max(a[1], b[1]), min(a[1] + a[3], b[1] + b[3])
    shared = max(0, right - left) * max(0, bottom - top)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


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


def test_where_no_box_contributes_the_most_confident_is_taken():
    """A text against everything in the image: negative values must not favour boxes of low confidence."""
    image = Image.new("RGB", (64, 64), (128, 128, 128))
    ImageDraw.Draw(image).rectangle([8, 8, 31, 31], fill=COLORS["red"])
    encoder = ColorEncoder()
    boxes = torch.tensor([[0.3, 0.3, 0.375, 0.375], [0.7, 0.7, 0.25, 0.25], [0.5, 0.2, 0.5, 0.25]])
    confidence = torch.tensor([0.5, 0.9, 0.2])

    def known(encoder, pixels, texts, options, count):
        return Candidates(boxes[None], torch.ones(1, 3, dtype=torch.bool), confidence[None])

    texts = torch.stack([encoder.texts(["red"])[0], -encoder.texts(["red"])[0]])
    for embedding in ("dropped", "ends"):
        found = ground(
            encoder, known, encoder.pixels([image]), texts, proposal_options({}), Judge(embedding, "touched")
        )
        assert found[0].equal(boxes[0])
        assert found[1].equal(boxes[1])
