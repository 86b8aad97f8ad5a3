"""A phone's photo is upright wherever it is read: curation, training and evaluation agree on its size and pixels."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageOps
from raw_shards import CAPTION, write_tar

from data_filters.image import read_header
from data_filters.sample import Sample
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.preparation import Preparation
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.evaluation.data.scenes import SceneStream

SHOWN = Image.new("RGB", (60, 100), (30, 30, 30))  # as every viewer shows it
SHOWN.paste((250, 40, 40), (5, 5, 45, 35))
TURNS = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def stored(orientation: int, format: str = "PNG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TURNS[orientation]
    out = io.BytesIO()
    (SHOWN if turn is None else SHOWN.transpose(turn)).save(out, format, exif=exif, quality=95)
    return out.getvalue()


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_curation_and_training_see_it_upright(orientation, format):
    data = stored(orientation, format)
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(data))).size == SHOWN.size
    header = read_header(data)
    assert (header.width, header.height) == SHOWN.size
    prepare = Preparation(CaptionEncoder(load_tokenizer("loupe"), 24), 32, Augmentation(None))
    pixels = prepare.pair(Sample("key", data, "jpg", CAPTION, None), (0,)).image
    expected = np.asarray(SHOWN.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.abs(pixels.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("orientation", TURNS)
def test_boxes_of_shards_refer_to_the_picture_as_shown(orientation, tmp_path):
    objects = [{"name": "apple", "box": [5, 5, 40, 30]}]
    metadata = {"width": 60, "height": 100, "objects": objects}
    write_tar(tmp_path / "0.tar", {"a.png": stored(orientation), "a.json": json.dumps(metadata)})
    (scene,) = SceneStream(str(tmp_path))
    assert scene.image.size == (60, 100)
    left, top, width, height = (int(side) for side in scene.objects[0].box)
    inside = scene.image.crop((left, top, left + width, top + height))
    assert inside.getextrema() == ((250, 250), (40, 40), (40, 40))
