import importlib.util
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from training_pixels import training_pixels
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, pipeline

from data_filters.errors import InputError
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export.hugging_face import export_run

_here = importlib.util.spec_from_file_location("tiny_runs", Path(__file__).with_name("conftest.py"))
tiny_runs = importlib.util.module_from_spec(_here)
_here.loader.exec_module(tiny_runs)

TEXTS = ["a large red umbrella to the left of a small blue dog", "a dog"]

# Runs where neither this project's rooms nor their path can be imported.
STRANGER = """
import sys
import warnings
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pretrain", "data_filters", "pipelines", "cluster"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
folder, image, out, texts = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
model = AutoModel.from_pretrained(folder).eval()
inputs = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
inputs |= AutoImageProcessor.from_pretrained(folder)(Image.open(image), return_tensors="pt")
with torch.no_grad():
    result = model(**inputs)
assert not [name for name in sys.modules if name.split(".")[0] in ("pretrain", "data_filters", "pipelines")]
numpy.savez(out, image=result.image_embeds, text=result.text_embeds, logits=result.logits_per_image)
print(type(model).__module__, type(model).__name__)
"""


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_transformers_alone_gives_the_same_embeddings(run_and_encoder, tmp_path, picture):
    run, encoder = run_and_encoder
    summary = export_run(str(run), str(tmp_path / "export"))
    assert summary.checkpoint == "step-00000010"
    assert summary.max_difference <= 1e-5

    child = subprocess.run(
        [
            sys.executable,
            "-c",
            STRANGER,
            str(tmp_path / "export"),
            str(picture),
            str(tmp_path / "out.npz"),
            *TEXTS,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.split()[-1] == "VisionTextDualEncoderModel"
    assert child.stdout.startswith("transformers.")

    theirs = np.load(tmp_path / "out.npz")
    tokens = load_tokenizer("loupe")(TEXTS, padding=True, return_tensors="pt")
    image = training_pixels(Image.open(picture), 32)
    with torch.no_grad():
        own_image = encoder.encode_image(torch.from_numpy(image)[None])[0]
        own_text = encoder.encode_text(tokens["input_ids"], tokens["attention_mask"])[0]
        own_logits = encoder.logit_scale.exp() * own_image @ own_text.T
    assert np.abs(theirs["image"] - own_image.numpy()).max() <= 1e-5
    assert np.abs(theirs["text"] - own_text.numpy()).max() <= 1e-5
    np.testing.assert_allclose(theirs["logits"], own_logits.numpy(), rtol=1e-4, atol=1e-4)


def test_every_file_says_what_was_trained(run_and_encoder, tmp_path):
    run, encoder = run_and_encoder
    export_run(str(run), str(tmp_path / "export"))
    folder = tmp_path / "export"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer(TEXTS)["input_ids"] == load_tokenizer("loupe")(TEXTS)["input_ids"]
    assert tokenizer.model_max_length == 20
    processor = AutoImageProcessor.from_pretrained(folder)
    assert (processor.size["height"], processor.size["width"], int(processor.resample)) == (32, 32, 3)
    weights = load_file(folder / "model.safetensors")
    assert weights["logit_scale"].shape == ()
    stock = AutoModel.from_pretrained(folder).state_dict()
    assert set(stock) == set(encoder.state_dict())

    assert set(load_file(folder / "region_head.safetensors")) == {"head.weight"}
    head = json.loads((folder / "region_head.json").read_text())
    assert head["grid"] == [4, 4]
    assert head["shapes"] == {"head.weight": [5, 24]}
    record = json.loads((folder / "export.json").read_text())
    assert record["left_out"] == {"unsil": 21}
    card = (folder / "README.md").read_text()
    for said in [
        "zero-shot-image-classification",
        "contrastive × 1.0",
        "`abc`",
        "unsil (21 parameters)",
        "step-",
    ]:
        assert said in card


def test_the_stock_zero_shot_pipeline_runs(run_and_encoder, tmp_path, picture):
    run, _ = run_and_encoder
    export_run(str(run), str(tmp_path / "export"))
    classify = pipeline("zero-shot-image-classification", model=str(tmp_path / "export"), device="cpu")
    labels = ["red umbrella", "blue dog", "green car"]
    answer = classify(str(picture), candidate_labels=labels)
    assert {row["label"] for row in answer} == set(labels)
    assert sum(row["score"] for row in answer) == pytest.approx(1)
    scores = {row["label"]: row["score"] for row in answer}

    model = AutoModel.from_pretrained(tmp_path / "export").eval()
    texts = AutoTokenizer.from_pretrained(tmp_path / "export")(
        [f"This is a photo of {label}." for label in labels], padding=True, return_tensors="pt"
    )
    image = AutoImageProcessor.from_pretrained(tmp_path / "export")(Image.open(picture), return_tensors="pt")
    with torch.no_grad():
        expected = model(**texts, **image).logits_per_image.softmax(-1)[0]
    np.testing.assert_allclose([scores[label] for label in labels], expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/evaluate.md"])
def test_the_example_of_the_documentation_runs_without_a_warning(run_and_encoder, tmp_path, picture, page):
    run, _ = run_and_encoder
    export_run(str(run), str(tmp_path / "export"))
    blocks = (Path(__file__).parents[4] / page).read_text().split("```python\n")[1:]
    (code,) = (block.split("```")[0] for block in blocks if "transformers" in block.split("```")[0])
    assert code.count("my/export") == 2
    code = code.replace("my/export", str(tmp_path / "export")).replace("photo.jpg", str(picture))
    *lines, last = code.strip().splitlines()
    seen: list[logging.LogRecord] = []
    watch = logging.Handler(logging.WARNING)
    watch.emit = seen.append
    logging.getLogger("transformers").addHandler(watch)
    names: dict[str, object] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec("\n".join(lines), names)
            found = eval(last, names)
    finally:
        logging.getLogger("transformers").removeHandler(watch)
    assert [record.getMessage() for record in seen] == []
    assert found.shape == (1, 2)
    assert float(found.sum().detach()) == pytest.approx(1)


def test_a_checkpoint_can_be_named(run_and_encoder, tmp_path):
    run, _ = run_and_encoder
    for name in ["step-00000005", "5"]:
        assert export_run(str(run), str(tmp_path / "export"), checkpoint=name).step == 5
    with pytest.raises(InputError, match="step-00000005, step-00000010"):
        export_run(str(run), str(tmp_path / "export"), checkpoint="step-7")


def test_a_checkpoint_still_being_written_is_passed_over(run_and_encoder, tmp_path):
    run, _ = run_and_encoder
    unfinished = run / "checkpoints" / "step-00000020"
    unfinished.mkdir()
    (unfinished / "model.safetensors").write_bytes(b"half")
    assert export_run(str(run), str(tmp_path / "export")).step == 10


def test_a_run_without_checkpoint_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        export_run(str(tmp_path / "absent"), str(tmp_path / "export"))
    tiny_runs.write_config(tmp_path, tiny_runs.tiny_config())
    with pytest.raises(InputError, match="has no checkpoint yet") as raised:
        export_run(str(tmp_path), str(tmp_path / "export"))
    assert "\n" not in str(raised.value)
    for text in ['{"config": {"epochs": 3}, "config_hash": "x"}', "{}", "[]", "{"]:
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(InputError, match="is not understood") as raised:
            export_run(str(tmp_path), str(tmp_path / "export"))
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "export").exists()


def test_a_foreign_folder_stays_as_it_is(run_and_encoder, tmp_path):
    run, _ = run_and_encoder
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("years of work")
    with pytest.raises(InputError, match="no export of this run"):
        export_run(str(run), str(foreign))
    assert [path.name for path in foreign.iterdir()] == ["chapter.tex"]


def test_its_own_export_is_replaced_and_another_runs_is_not(run_and_encoder, tmp_path):
    run, _ = run_and_encoder
    output = tmp_path / "export"
    export_run(str(run), str(output), checkpoint="5")
    assert export_run(str(run), str(output)).step == 10
    assert json.loads((output / "export.json").read_text())["step"] == 10

    other = tmp_path / "other"
    other.mkdir()
    tiny_runs.write_checkpoint(other, tiny_runs.tiny_config(seed=1), 3)
    with pytest.raises(InputError, match="holds an export of run"):
        export_run(str(other), str(output))
    assert json.loads((output / "export.json").read_text())["step"] == 10
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_weights_that_do_not_fit_the_config_are_refused(run_and_encoder, tmp_path):
    run, _ = run_and_encoder
    file = run / "checkpoints" / "step-00000010" / "model.safetensors"
    weights = load_file(file)
    del weights["dual_encoder.visual_projection.weight"]
    save_file(weights, file)
    with pytest.raises(InputError, match=r"does not fit config\.json .*visual_projection"):
        export_run(str(run), str(tmp_path / "export"))
    file.write_bytes(b"no tensors here")
    with pytest.raises(InputError, match="step-00000010 is damaged"):
        export_run(str(run), str(tmp_path / "export"), checkpoint="10")
    assert not (tmp_path / "export").exists()
