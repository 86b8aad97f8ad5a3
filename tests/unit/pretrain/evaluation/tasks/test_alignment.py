import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_filters.errors import InputError
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.phrase_objects import read_phrases
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.runner import run_evaluation
from pretrain.evaluation.token_encoder import TokenEncoder


def evaluate(export, data, output=None, *, progress=None, **options):
    """The metrics of the task with these options."""
    return run_evaluation("alignment", export, data, output, options=options, progress=progress)


FEW = {"evaluations": 8, "budget": 12}


@pytest.fixture
def told(tmp_path) -> str:
    """Eight images of 20×24 px: captions of one or two mentioned objects; number 3 has nothing to say."""
    generator = np.random.default_rng(0)
    samples = []
    for number in range(8):
        names = ["red dog", "blue cup"][: 1 + number % 2]
        caption = "of the" if number == 3 else "a " + " and a ".join(names)
        mentions = [
            {"object": place, "start": caption.index(name), "end": caption.index(name) + len(name)}
            for place, name in enumerate(names)
            if number != 3
        ]
        objects = [
            {"name": name.split()[1], "box": [*generator.integers(0, 9, 2).tolist(), 10, 12]}
            for name in names
        ]
        file = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (24, 20, 3), dtype=np.uint8)).save(file, "PNG")
        metadata = {"width": 20, "height": 24, "objects": objects, "mentions": mentions}
        members = {"png": file.getvalue(), "txt": caption.encode(), "json": json.dumps(metadata).encode()}
        samples.append((f"{number:06d}", members))
    write_shard(tmp_path / "told" / "00000.tar", samples)
    return str(tmp_path / "told")


def test_output_is_what_a_report_reads(region_export, told, tmp_path):
    output = tmp_path / "scores"
    seen = []
    metrics = evaluate(
        region_export, told, str(output), examples=3, regions=3, progress=lambda *a: seen.append(a), **FEW
    )
    assert json.loads((output / "metrics.json").read_text()) == metrics
    assert (metrics["task"], metrics["export"], metrics["data"]) == ("alignment", region_export, told)
    assert (metrics["proposals"], metrics["images"], metrics["named_phrases"]) == ("regions", 7, 10)
    assert metrics["skipped"] == {"no_phrase": 1}
    assert "note" not in metrics
    for name in ("pointing_word_patch", "pointing_attribution"):
        for score in (name, f"{name}_chance", f"{name}_text_blind"):
            assert 0 <= metrics[score] <= 1
    # Maps are the same with and without an output, and so is what is measured.
    again = evaluate(region_export, told, examples=3, regions=3, **FEW)
    assert again | {"seconds": 0} == metrics | {"seconds": 0}

    entries = json.loads((output / "examples.json").read_text())["alignment"]
    assert [entry["image"] for entry in entries] == [0, 2, 5]
    for entry in entries:
        assert entry["key"] == f"{entry['image']:06d}"
        assert entry["phrases"] == (["red dog", "blue cup"][: 1 + entry["image"] % 2])
        assert entry["phrases_from"] == "mentions"
        assert len(entry["regions"]) == len(entry["matrix"]) == 3
        for region in entry["regions"]:
            left, top, width, height = region["box"]
            assert 0 <= left <= left + width <= 20.1
            assert 0 <= top <= top + height <= 24.1
            assert 0 <= region["confidence"] <= 1
            assert {"interaction", "interaction_error", "value", "value_error"} < set(region)
        scaled = np.array(entry["alignment"]) * metrics["scale"]
        expected = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
        np.testing.assert_allclose(entry["matrix"], expected, atol=2e-3)
        assert np.shape(entry["semantic_interactions"]) == np.shape(entry["matrix"])
        words = entry["caption"].replace("a ", "").replace("and ", "").split()
        kinds = [(one["kind"], one["text"]) for one in entry["maps"]]
        legend = " · ".join(f"{number} {word}" for number, word in enumerate(words, 1))
        assert kinds == [
            *(("attribution", text) for text in entry["phrases"]),
            ("best-word", legend),
            *(("word-patch", word) for word in words),
        ]
        assert entry["picture"] == f"examples/{entry['image']}.jpg"
        for file in (entry["picture"], *(one["picture"] for one in entry["maps"])):
            with Image.open(output / file) as picture:
                assert picture.height > picture.width > 100
    assert seen[-1] == (8, None)


def test_samples_are_chosen_by_key(export, told, tmp_path):
    output = tmp_path / "scores"
    metrics = evaluate(export, told, str(output), keys="000005, 000001", **FEW)
    entries = json.loads((output / "examples.json").read_text())["alignment"]
    assert [entry["key"] for entry in entries] == ["000001", "000005"]
    assert (metrics["proposals"], metrics["keys"]) == ("saliency", ["000005", "000001"])
    with pytest.raises(InputError, match="no sample with a phrase and the key '000003'"):
        evaluate(export, told, keys=["000003"], **FEW)
    with pytest.raises(InputError, match=r"keys has 5, a number; put it in quotes"):
        evaluate(export, told, keys=5, **FEW)
    with pytest.raises(InputError, match="holds results with keys"):
        evaluate(export, told, str(output), keys=["000001"], **FEW)


def test_data_without_boxes_gives_pictures_and_says_so(export, shards, tmp_path):
    output = tmp_path / "scores"
    metrics = evaluate(export, shards, str(output), examples=2, **FEW)
    assert metrics["note"] == "no phrase of the data is known to name an object: pictures only"
    assert not any(name.startswith(("pointing", "phrase_of")) for name in metrics)
    entries = json.loads((output / "examples.json").read_text())["alignment"]
    pictures = {picture.key: picture for picture in SampleStream(shards)}
    for entry in entries:
        expected = [phrase.text for phrase in read_phrases(pictures[entry["key"]], 12).phrases]
        assert (entry["phrases"], entry["phrases_from"]) == (expected, "words")
    assert len(entries) == 2
    assert Path(output, entries[0]["maps"][0]["picture"]).is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"proposals": "regions"}, "region"),
        ({"proposals": "luck"}, "proposals is 'luck'"),
        ({"scale": 0}, "scale is 0"),
        ({"budget": 3}, "budget is 3; input should be greater than or equal to 12"),
        ({"colour": 1}, "unknown key colour"),
    ],
)
def test_bad_options_are_one_clear_line(export, told, options, said):
    with pytest.raises(InputError, match=said) as raised:
        evaluate(export, told, **(FEW | options))
    assert "\n" not in str(raised.value)


def test_any_way_to_regions_will_do(export, told):
    for proposals in ("attribution", "kmeans", "pixel"):
        metrics = evaluate(export, told, gallery=2, proposals=proposals, **FEW)
        assert metrics["images"] == 2
    assert TokenEncoder(export).region_generator is None
