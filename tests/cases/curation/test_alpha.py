"""A black logo on transparency is black on white in training, whatever holds the transparency."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from raw_shards import CAPTION

from data_filters.sample import Sample
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.preparation import Preparation
from pretrain.data.samples.tokenizer import load_tokenizer

LOGO = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
ImageDraw.Draw(LOGO).ellipse((50, 50, 250, 250), fill=(0, 0, 0, 255))


@pytest.mark.parametrize(
    ("image", "format"),
    [
        (LOGO, "PNG"),
        (LOGO.convert("LA"), "PNG"),
        (LOGO.quantize(4), "PNG"),
        (LOGO, "GIF"),
        (LOGO, "WEBP"),
        (LOGO, "TIFF"),
    ],
)
def test_training_sees_black_on_white(image, format):
    out = io.BytesIO()
    image.save(out, format, **({"lossless": True} if format == "WEBP" else {}))
    prepare = Preparation(CaptionEncoder(load_tokenizer("loupe"), 24), 30, Augmentation(None))
    pixels = prepare.pair(Sample("key", out.getvalue(), "png", CAPTION, None), (0,)).image
    assert (pixels[:, :3] == 255).all()
    assert (pixels[:, 12:18, 12:18] == 0).all()
    disc = np.pi * 100**2 / 300**2
    assert (pixels < 128).mean() == pytest.approx(disc, abs=0.03)
