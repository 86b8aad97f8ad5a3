import json
import subprocess
import sys

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
    (folder / "state.json").write_text("{}")
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


def test_user_errors(export, picture, tmp_path):
    model = load(export)
    for call, said in [
        (lambda: load(str(tmp_path)), r"no config\.json"),
        (lambda: load(export, proposals="luck"), "proposals is 'luck'"),
        (lambda: load(export, depth=3), "unknown key depth"),
        (lambda: model.detect(picture, "dog"), "give a list of names"),
        (lambda: model.detect(picture, ["dog"], calibration="no"), "calibration is 'no'"),
        (lambda: model.ground(tmp_path / "none.png", "dog"), "cannot be read"),
        (lambda: model.rank(picture, ["dog"]), "put single ones into lists"),
        (lambda: model.rank([], ["dog"]), "0 images"),
    ]:
        with pytest.raises(InputError, match=said):
            call()
