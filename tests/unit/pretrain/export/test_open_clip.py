"""The folder for open_clip: read by plain torch, and by open_clip itself where that is installed."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from data_filters.errors import InputError
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export.hugging_face import export_run as export_hugging_face
from pretrain.export.open_clip import check_parity, export_run, read_back
from pretrain.export.timm_layout import REGISTERED, registered_name, timm_arguments
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

_here = importlib.util.spec_from_file_location("tiny_runs", Path(__file__).with_name("conftest.py"))
tiny_runs = importlib.util.module_from_spec(_here)
_here.loader.exec_module(tiny_runs)

# Two shifted blocks on a map of several windows, an odd number of blocks, a last map that is one window.
SHIFTED = {
    "kind": "swin",
    "image_size": 64,
    "patch_size": 4,
    "width": 16,
    "depths": [2, 3],
    "heads": [2, 4],
    "window": 4,
}
TEXTS = ["a large red umbrella to the left of a small blue dog", "a dog", "two dogs"]


def write_run(path: Path, **image):
    """A run with random weights whose image tower is `image`, and its encoder."""
    path.mkdir()
    config = tiny_runs.tiny_config().model_dump(mode="json")
    config["model"]["image"] = image
    return tiny_runs.write_checkpoint(path, DualEncoderConfig.model_validate(config), 10)


@pytest.fixture
def shifted(tmp_path):
    encoder = write_run(tmp_path / "run", **SHIFTED)
    summary = export_run(str(tmp_path / "run"), str(tmp_path / "export"))
    return encoder, tmp_path / "export", summary


def test_the_folder_embeds_as_the_run_did(shifted):
    encoder, folder, summary = shifted
    assert summary.format == "open-clip"
    assert summary.max_difference <= 1e-5
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(5, 3, 64, 64, generator=generator)
    tokens = load_tokenizer("loupe")(TEXTS, padding="max_length", max_length=20, return_tensors="pt")
    image, text, scale = read_back(folder, pixels, tokens["input_ids"])
    with torch.no_grad():
        assert (image - encoder.encode_image(pixels)[0]).abs().max() <= 1e-5
        own = encoder.encode_text(tokens["input_ids"], tokens["attention_mask"])[0]
    assert (text - own).abs().max() <= 1e-5
    assert scale == encoder.logit_scale[0]


def test_open_clip_itself_opens_the_folder(shifted, tmp_path):
    open_clip = pytest.importorskip("open_clip", exc_type=ImportError)
    encoder, folder, _ = shifted
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    pixels = torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    own = load_tokenizer("loupe")(TEXTS, padding="max_length", max_length=20, return_tensors="pt")
    assert torch.equal(tokenizer(TEXTS), own["input_ids"])
    with torch.no_grad():
        image = model.encode_image(pixels, normalize=True)
        text = model.encode_text(tokenizer(TEXTS), normalize=True)
        assert (image - encoder.encode_image(pixels)[0]).abs().max() <= 1e-5
        assert (text - encoder.encode_text(own["input_ids"], own["attention_mask"])[0]).abs().max() <= 1e-5
    assert model.logit_scale == encoder.logit_scale[0]
    assert model.visual.preprocess_cfg["resize_mode"] == "squash"
    assert tuple(model.visual.preprocess_cfg["size"]) == (64, 64)
    assert list(model.visual.preprocess_cfg["mean"]) == [0.5] * 3


@pytest.mark.parametrize(
    "name",
    [
        "visual.trunk.layers.0.blocks.1.attn.relative_position_bias_table",
        "visual.trunk.layers.1.downsample.reduction.weight",
        "visual.trunk.layers.1.blocks.0.attn.qkv.weight",
        "visual.head.proj.weight",
        "text.transformer.pooler.dense.bias",
        "text.proj.weight",
        "logit_scale",
    ],
)
def test_a_small_change_of_any_part_is_found(shifted, name):
    encoder, folder, _ = shifted
    assert check_parity(encoder, folder) <= 1e-5
    file = folder / "open_clip_model.safetensors"
    weights = load_file(file)
    weights[name] = weights[name] + 0.05 * torch.randn(weights[name].shape)
    save_file(weights, file)
    with pytest.raises(RuntimeError, match="differs from the run"):
        check_parity(encoder, folder)


def test_names_and_shapes_are_timms(shifted):
    weights = {
        name: tuple(tensor.shape)
        for name, tensor in load_file(shifted[1] / "open_clip_model.safetensors").items()
    }
    trunk = {
        name.removeprefix("visual.trunk."): shape
        for name, shape in weights.items()
        if name.startswith("visual.trunk.")
    }
    # As timm 1.0 lists them for a Swin of this size.
    expected = {
        "patch_embed.proj.weight": (16, 3, 4, 4),
        "patch_embed.proj.bias": (16,),
        "patch_embed.norm.weight": (16,),
        "patch_embed.norm.bias": (16,),
        "layers.1.downsample.norm.weight": (64,),
        "layers.1.downsample.norm.bias": (64,),
        "layers.1.downsample.reduction.weight": (32, 64),
        "norm.weight": (32,),
        "norm.bias": (32,),
    }
    for stage, depth, width, heads in ((0, 2, 16, 2), (1, 3, 32, 4)):
        for block in range(depth):
            expected |= {
                f"layers.{stage}.blocks.{block}.{name}": shape
                for name, shape in {
                    "norm1.weight": (width,),
                    "norm1.bias": (width,),
                    "attn.relative_position_bias_table": (49, heads),
                    "attn.qkv.weight": (3 * width, width),
                    "attn.qkv.bias": (3 * width,),
                    "attn.proj.weight": (width, width),
                    "attn.proj.bias": (width,),
                    "norm2.weight": (width,),
                    "norm2.bias": (width,),
                    "mlp.fc1.weight": (4 * width, width),
                    "mlp.fc1.bias": (4 * width,),
                    "mlp.fc2.weight": (width, 4 * width),
                    "mlp.fc2.bias": (width,),
                }.items()
            }
    assert trunk == expected
    rest = {name for name in weights if not name.startswith(("visual.trunk.", "text.transformer."))}
    assert rest == {"visual.head.proj.weight", "text.proj.weight", "logit_scale"}
    assert weights["logit_scale"] == ()


def test_a_size_that_timm_names_goes_by_its_name(tmp_path):
    write_run(tmp_path / "run", kind="swin")  # the default is Swin-T at 224
    summary = export_run(str(tmp_path / "run"), str(tmp_path / "export"))
    assert summary.max_difference <= 1e-5
    config = json.loads((tmp_path / "export" / "open_clip_config.json").read_text())
    assert config["model_cfg"]["vision_cfg"]["timm_model_name"] == "swin_tiny_patch4_window7_224"
    assert not (tmp_path / "export" / "image").exists()


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("swin_small_patch4_window7_224", {"depths": [2, 2, 18, 2]}),
        ("swin_base_patch4_window7_224", {"width": 128, "depths": [2, 2, 18, 2], "heads": [4, 8, 16, 32]}),
        ("swin_large_patch4_window7_224", {"width": 192, "depths": [2, 2, 18, 2], "heads": [6, 12, 24, 48]}),
        (
            "swin_base_patch4_window12_384",
            {"image_size": 384, "window": 12, "width": 128, "depths": [2, 2, 18, 2], "heads": [4, 8, 16, 32]},
        ),
        (None, {"depths": [2, 2, 4, 2]}),
        (None, {"mlp_ratio": 2.0}),
    ],
)
def test_every_registered_size_is_known(name, image):
    from transformers import SwinConfig

    shape = DualEncoderConfig.model_validate({"model": {"image": image}}).model.image
    config = SwinConfig(
        image_size=shape.image_size,
        patch_size=shape.patch_size,
        embed_dim=shape.width,
        depths=list(shape.depths),
        num_heads=list(shape.heads),
        window_size=shape.window,
        mlp_ratio=shape.mlp_ratio,
    )
    assert registered_name(timm_arguments(config)) == name
    assert name is None or name in REGISTERED


def test_what_open_clip_has_no_place_for_is_one_line(tmp_path):
    write_run(tmp_path / "vit", **tiny_runs.tiny_config("vit").model_dump(mode="json")["model"]["image"])
    with pytest.raises(
        InputError, match="towers are a vit and a bert, .* use --format huggingface or --format onnx"
    ) as vit:
        export_run(str(tmp_path / "vit"), str(tmp_path / "export"))
    write_run(tmp_path / "swin", **SHIFTED | {"image_size": 48, "window": 5})
    with pytest.raises(InputError, match="12×12 in stage 1, no multiple of its window 5") as swin:
        export_run(str(tmp_path / "swin"), str(tmp_path / "export"))
    assert "\n" not in str(vit.value) + str(swin.value)
    assert not (tmp_path / "export").exists()
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_without_shifted_blocks_a_map_may_be_no_multiple_of_its_window(tmp_path):
    write_run(
        tmp_path / "run", **SHIFTED | {"image_size": 40, "depths": [1, 1]}
    )  # maps of 10 and 5, window 4
    assert export_run(str(tmp_path / "run"), str(tmp_path / "export")).max_difference <= 1e-5


def test_the_configuration_says_how_to_build_and_to_feed_it(shifted):
    _, folder, _ = shifted
    config = json.loads((folder / "open_clip_config.json").read_text())
    text = config["model_cfg"]["text_cfg"]
    assert Path(text["hf_model_name"]) == folder.resolve()
    assert text["context_length"] == 20
    assert config["preprocess_cfg"]["resize_mode"] == "squash"
    assert config["model_cfg"]["vision_cfg"]["timm_model_name"] == f"local-dir:{folder.resolve() / 'image'}"
    card = (folder / "README.md").read_text()
    assert "library_name: open_clip" in card
    assert "local-dir:" in card


def test_another_format_in_the_output_stays_as_it_is(shifted, tmp_path):
    with pytest.raises(InputError, match="in the format open-clip, not huggingface"):
        export_hugging_face(str(tmp_path / "run"), str(tmp_path / "export"))
    assert (tmp_path / "export" / "open_clip_model.safetensors").is_file()
    assert export_run(str(tmp_path / "run"), str(tmp_path / "export")).step == 10


def test_the_real_preprocessing_gives_the_runs_pixels(shifted):
    """Squeezed, bicubic, from -1 to 1; needs open_clip with a torchvision that is one."""
    open_clip = pytest.importorskip("open_clip", exc_type=ImportError)
    pytest.importorskip("torchvision.io", exc_type=ImportError)
    import numpy as np
    from training_pixels import training_pixels

    _, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{shifted[1]}")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    own = training_pixels(image, 64)
    assert (preprocess(image) - torch.from_numpy(own)).abs().max() <= 1e-5
