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


def coco(folder, sides: tuple[int, int], box: list[int]) -> str:
    (folder / "photo.png").write_bytes(stored(6))
    image = {"id": 1, "file_name": "photo.png", "width": sides[0], "height": sides[1]}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "iscrowd": 0}
    document = {"images": [image], "categories": [{"id": 1, "name": "apple"}], "annotations": [annotation]}
    (folder / "instances.json").write_text(json.dumps(document))
    return str(folder / "instances.json")


def test_boxes_of_coco_refer_to_the_picture_as_shown(tmp_path):
    (scene,) = SceneStream(coco(tmp_path, (60, 100), [5, 5, 40, 30]))
    assert scene.objects[0].box == (5, 5, 40, 30)


def test_boxes_for_the_picture_as_stored_are_counted_and_not_misread(tmp_path):
    stream = SceneStream(coco(tmp_path, (100, 60), [5, 15, 30, 40]))
    assert list(stream) == []
    assert stream.skipped == {"sides_swapped": 1}
    metadata = {"width": 100, "height": 60, "objects": [{"name": "apple", "box": [5, 15, 30, 40]}]}
    write_tar(tmp_path / "shards" / "0.tar", {"a.png": stored(6), "a.json": json.dumps(metadata)})
    stream = SceneStream(str(tmp_path / "shards"))
    assert list(stream) == []
    assert stream.skipped == {"sides_swapped": 1}
