import json
import subprocess
import sys
from dataclasses import astuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from data_filters.errors import InputError
from pretrain import load
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export.hugging_face import export_run
from pretrain.models.dual_encoder import DualEncoder
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """A stock export of random weights."""

    tower = {"kind": "vit", "image_size": 24, "patch_size": 8, "width": 16, "depths": [1], "heads": [2]}
    text = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "max_tokens": 12}
    config = DualEncoderConfig.model_validate(
        {"name": "tiny", "model": {"image": tower, "text": text, "projection_dim": 16}}
    )
    run = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    encoder = DualEncoder(config.model, len(load_tokenizer("loupe")))
    folder = run / "checkpoints" / "step-00000001"
    folder.mkdir(parents=True)
    save_file(
        {f"dual_encoder.{n}": t.contiguous() for n, t in encoder.state_dict().items()},
        folder / "model.safetensors",
    )
    (folder / "state.json").write_text('{"step": 1}')
    (run / "config.json").write_text(
        json.dumps({"config": config.model_dump(mode="json"), "config_hash": "abc", "data": "here"})
    )
    export_run(str(run), str(run / "export"))
    return run / "export"


@pytest.fixture
def picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    file = tmp_path / "picture.png"
    Image.fromarray(noise).save(file)
    return file


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys; from pretrain import load; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("proposals", [None, "pixel", "kmeans", "gradcam"])
def test_detect_and_ground_answer_in_pixels(export, picture, proposals):
    model = load(export, proposals=proposals, evaluations=40)
    assert model.proposals == (proposals or "attribution")
    names = ["red umbrella", "dog", "cup"]
    found = model.detect(picture, names, most=4)
    assert 1 <= len(found) <= 4
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert {one.text for one in found} <= set(names)
    least = found[len(found) // 2].score
    again = model.detect(Image.open(picture), names, most=4, threshold=least)
    assert again == [one for one in found if one.score >= least]
    one = model.ground(picture, "the small blue dog")
    for box in (one.box, *(hit.box for hit in found)):
        left, top, width, height = box
        assert min(left, top) >= 0
        assert min(width, height) > 0
        assert left + width <= 50 + 1e-9
        assert top + height <= 30 + 1e-9
    assert -1 <= one.score <= 1


def test_rank_is_the_cosine_of_the_stock_model(export, picture):
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    images, texts = (
        [Image.open(picture).convert("RGB"), Image.new("RGB", (40, 40), "red")],
        ["a dog", "red", "cup"],
    )
    model = AutoModel.from_pretrained(export).eval()
    inputs = AutoTokenizer.from_pretrained(export)(texts, padding=True, return_tensors="pt")
    inputs |= AutoImageProcessor.from_pretrained(export)(images, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits_per_image / model.logit_scale.exp()
    torch.testing.assert_close(
        load(export).rank([picture, images[1]], texts, batch_size=1), expected, atol=1e-5, rtol=0
    )


@pytest.fixture(scope="module")
def model(export):
    return load(export, evaluations=20)


@pytest.fixture
def phone_photo(tmp_path):
    """A photo stored lying down, shown 60 px wide and 100 px high, and how it is shown."""
    shown = Image.new("RGB", (60, 100), (30, 30, 30))
    shown.paste((250, 40, 40), (5, 5, 45, 35))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = tmp_path / "photo.png"
    shown.transpose(Image.Transpose.ROTATE_90).save(file, exif=exif)
    return file, shown


def test_a_phone_photo_is_the_same_as_path_bytes_and_image_and_as_transformers_opens_it(model, phone_photo):
    from transformers.image_utils import load_image

    file, shown = phone_photo
    assert load_image(str(file)).size == shown.size
    names, forms = ["a red apple", "a dog"], (file, str(file), file.read_bytes(), Image.open(file), shown)
    for ask in (
        lambda image: model.ground(image, "a red apple"),
        lambda image: model.detect(image, names),
        lambda image: model.rank(image, names).tolist(),
    ):
        answers = [ask(form) for form in forms]
        assert all(answer == answers[0] for answer in answers)
    left, top, width, height = model.ground(file, "a red apple").box
    assert left + width <= 60 + 1e-9
    assert top + height <= 100 + 1e-9
    assert max(top + height for *_, (_, top, _, height) in map(astuple, model.detect(file, names))) > 60


def test_transparency_is_white_in_every_form(model, tmp_path):
    logo = Image.new("RGBA", (40, 40))
    logo.paste((0, 0, 0, 255), (10, 10, 30, 30))
    on_white = Image.new("RGB", (40, 40), "white")
    on_white.paste((0, 0, 0), (10, 10, 30, 30))
    logo.save(tmp_path / "logo.png")
    expected = model.rank([on_white], ["a logo"])
    for form in (logo, logo.convert("LA"), tmp_path / "logo.png"):
        torch.testing.assert_close(model.rank([form], ["a logo"]), expected, atol=1e-6, rtol=0)


def test_an_image_scores_the_same_alone_and_among_others(model, picture, phone_photo):
    images, texts = [picture, phone_photo[0], Image.new("RGB", (24, 200), "red"), picture], ["a dog", "red"]
    together = model.rank(images, texts)
    assert together.shape == (4, 2)
    for row, image in zip(together, images, strict=True):
        for alone in (model.rank(image, texts), model.rank([image], texts)):
            torch.testing.assert_close(alone, row[None], atol=1e-6, rtol=0)
    torch.testing.assert_close(model.rank(images, texts, batch_size=3), together, atol=1e-6, rtol=0)
    torch.testing.assert_close(model.rank(images, "red"), together[:, 1:], atol=1e-6, rtol=0)


def test_user_errors(export, model, picture, tmp_path):
    for call, said in [
        (lambda: load(str(tmp_path)), r"no config\.json"),
        (lambda: load(export, proposals="luck"), "proposals is 'luck'"),
        (lambda: load(export, depth=3), "unknown key depth"),
        (lambda: model.detect(picture, "dog"), "give a list of names"),
        (lambda: model.detect(picture, []), r"names is \[\]; give a list of texts"),
        (lambda: model.detect(picture, [1]), r"names is \[1\]"),
        (lambda: model.detect(picture, ["dog"], calibration="no"), "calibration is 'no'"),
        (lambda: model.detect([picture, picture], ["dog"]), "image is "),
        (lambda: model.ground(picture, None), "text is None"),
        (lambda: model.rank([], ["dog"]), "images is an empty list"),
        (lambda: model.rank([picture], []), "texts is "),
        (lambda: model.rank(np.zeros((2, 8, 8, 3)), ["dog"]), r"images is ndarray of shape \(2, 8, 8, 3\)"),
        (lambda: model.rank([picture], ["dog"], batch_size=0), "batch_size is 0"),
    ]:
        with pytest.raises(InputError, match=said):
            call()


def test_what_is_no_image_is_refused_by_every_method_in_one_line(model, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for image, said in [
        (np.zeros((8, 8, 3), np.uint8), r"image is ndarray of shape \(8, 8, 3\)"),
        (None, "image is None"),
        (7, "image is 7"),
        ([], r"image is \[\]"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none.png", "No such file"),
        ("https://example.com/dog.jpg", "image is the URL"),
        (b"", "unknown_image_format"),
        (tmp_path / "text.jpg", "unknown_image_format"),
    ]:
        for call in (
            lambda image: model.detect(image, ["dog"]),
            lambda image: model.ground(image, "dog"),
            lambda image: model.rank([image], ["dog"]),
        ):
            with pytest.raises(InputError, match=said) as raised:
                call(image)
            assert "\n" not in str(raised.value)
            assert "give a Pillow image" in str(raised.value)
