"""What the Python API takes for an image, a list of images and a list of texts."""

import io

import numpy as np
import pytest
from PIL import Image

from data_filters.errors import InputError
from pretrain.image_arguments import image_list, open_image, text_list


def test_one_image_is_a_list_of_one(tmp_path):
    image = Image.new("RGB", (3, 2))
    for one in (image, "a.jpg", tmp_path / "a.jpg", b"bytes"):
        assert image_list(one) == [one]
    assert image_list((image, "a.jpg")) == [image, "a.jpg"]
    assert text_list("a dog", "texts") == ["a dog"]
    assert text_list(("a", "b"), "texts") == ["a", "b"]


@pytest.mark.parametrize("images", [[], None, 3, {"a": 1}, np.zeros(3)])
def test_other_lists_of_images_are_refused(images):
    with pytest.raises(InputError, match="images is"):
        image_list(images)


@pytest.mark.parametrize("texts", [[], None, 3, [None], [b"dog"], np.zeros(3)])
def test_other_lists_of_texts_are_refused_by_their_name(texts):
    with pytest.raises(InputError, match="labels is"):
        text_list(texts, "labels")


def test_forms_of_one_image_give_the_same_pixels(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 8
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG", exif=exif)
    (tmp_path / "a.png").write_bytes(out.getvalue())
    forms = (
        out.getvalue(),
        bytearray(out.getvalue()),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        Image.open(out),
    )
    pictures = [open_image(form) for form in forms]
    assert {(picture.mode, picture.size, picture.tobytes()) for picture in pictures} == {
        ("RGB", (20, 30), pictures[0].tobytes())
    }


def test_an_image_whose_file_is_cut_is_refused(tmp_path):
    file = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:-3000])
    for form in (file, file.read_bytes(), Image.open(file)):
        with pytest.raises(InputError, match="cannot be read"):
            open_image(form)
