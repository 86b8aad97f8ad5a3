"""A matcher's export: transformers alone opens it, and gives the scores of the run."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_matcher import MODEL, matcher_recipe, matcher_run, tiny_blip
from training_pixels import training_pixels

from data_filters.errors import InputError
from data_filters.matching import matching_scores, read_settings
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export import FORMATS, get_format
from pretrain.export.matcher import export_matcher

TEXTS = ["a red umbrella", "a small blue dog to the left of a cat and of many other things"]

# Runs where neither this project's rooms nor their path can be imported.
STRANGER = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pretrain", "data_filters", "pipelines", "cluster"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval
folder, image, out, texts = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
model, about = BlipForImageTextRetrieval.from_pretrained(folder, output_loading_info=True)
assert not about["missing_keys"] and not about["unexpected_keys"], about
texts = AutoTokenizer.from_pretrained(folder)(texts, padding=True, truncation=True, return_tensors="pt")
texts.pop("token_type_ids", None)
pixels = AutoImageProcessor.from_pretrained(folder)(Image.open(image), return_tensors="pt").pixel_values
pixels = pixels.expand(len(texts["input_ids"]), -1, -1, -1)
with torch.no_grad():
    itm = model.eval()(pixel_values=pixels, **texts).itm_score.softmax(-1)[:, 1]
    itc = model(pixel_values=pixels, **texts, use_itm_head=False).itm_score[0]
numpy.savez(out, itm=itm, itc=itc)
"""


def test_transformers_alone_gives_the_runs_scores(tmp_path):
    run, task = matcher_run(tmp_path / "run")
    picture = tmp_path / "picture.png"
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture)
    summary = get_format("huggingface")(run, str(tmp_path / "export"), checkpoint=None)
    assert (summary.checkpoint, summary.step, summary.format) == ("step-00000001", 1, "huggingface")
    assert summary.max_difference <= 1e-5
    assert summary.parameters == sum(weights.numel() for weights in task.matcher.parameters())
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            STRANGER,
            str(tmp_path / "export"),
            str(picture),
            str(tmp_path / "o.npz"),
            *TEXTS,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert child.returncode == 0, child.stderr
    theirs = np.load(tmp_path / "o.npz")
    tokens = load_tokenizer("loupe")(TEXTS, padding=True, truncation=True, max_length=12, return_tensors="pt")
    pixels = torch.from_numpy(training_pixels(Image.open(picture), 16))[None].expand(2, -1, -1, -1)
    with torch.no_grad():
        itc, itm = matching_scores(task.matcher, pixels, tokens["input_ids"], tokens["attention_mask"])
    assert np.abs(theirs["itm"] - itm.numpy()).max() <= 1e-5
    assert np.abs(theirs["itc"] - itc.numpy()).max() <= 1e-5


def test_settings_record_and_card_say_what_was_trained(tmp_path):
    run, _ = matcher_run(tmp_path / "run")
    export_matcher(run, str(tmp_path / "export"), checkpoint="1")
    settings = read_settings(str(tmp_path / "export"))
    assert settings.first_token == "[CLS]"
    assert settings.temperature == pytest.approx(np.exp(-3.0))
    record = json.loads((tmp_path / "export" / "export.json").read_text())
    assert (record["version"], record["run"], record["name"], record["step"]) == (1, "abc", "tiny", 1)
    assert record["config"] == matcher_recipe().model_dump(mode="json")
    assert record["data"]["shards"][0]["sha256"] == "abc"
    card = (tmp_path / "export" / "README.md").read_text()
    for said in [
        "# tiny",
        "random weights",
        "ITC × 1.0, ITM × 1.0",
        "0.04979",
        "`[CLS]`",
        "16×16 px",
        "12 tokens",
    ]:
        assert said in card, said


def test_an_earlier_export_is_replaced_and_everything_else_stays(tmp_path):
    run, _ = matcher_run(tmp_path / "run")
    target = tmp_path / "export"
    export_matcher(run, str(target))
    (target / "stale").write_text("")
    export_matcher(run, str(target))
    assert not (target / "stale").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("")
    with pytest.raises(InputError, match="is no export of this run; nothing was changed"):
        export_matcher(run, str(other))
    assert [path.name for path in other.iterdir()] == ["mine"]
    record = json.loads((target / "export.json").read_text())
    (target / "export.json").write_text(json.dumps(record | {"run": "xyz"}))
    with pytest.raises(InputError, match="holds an export of run 'tiny'"):
        export_matcher(run, str(target))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "other", "run"]


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "huggingface"])
def test_other_formats_are_refused_in_one_line(format, tmp_path):
    run, _ = matcher_run(tmp_path / "run")
    with pytest.raises(InputError) as raised:
        get_format(format)(run, str(tmp_path / "export"), checkpoint=None)
    assert "\n" not in str(raised.value)
    assert "is of task matcher, which has no dual encoder" in str(raised.value)
    assert "--format huggingface" in str(raised.value)
    assert not (tmp_path / "export").exists()


def test_weights_of_another_recipe_are_refused(tmp_path):
    run, _ = matcher_run(tmp_path / "run")
    file = tmp_path / "run" / "checkpoints" / "step-00000001" / "model.safetensors"
    weights = load_file(file)
    del weights["matcher.itm_head.weight"]
    save_file(weights, file)
    with pytest.raises(InputError, match="does not fit config.json .*itm_head.weight") as raised:
        export_matcher(run, str(tmp_path / "export"))
    assert "\n" not in str(raised.value)


def test_the_first_token_is_stored_and_compared_with(tmp_path):
    tokenizer = tiny_blip(tmp_path / "blip")
    run, _ = matcher_run(tmp_path / "run", model=MODEL | {"first_token": "[ENC]"}, tokenizer=tokenizer)
    assert export_matcher(run, str(tmp_path / "export")).max_difference <= 1e-5
    assert read_settings(str(tmp_path / "export")).first_token == "[ENC]"
    assert f"`{tokenizer}`" in (tmp_path / "export" / "README.md").read_text()
