import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from data_filters.errors import InputError
from pipelines.shards.writer import write_shard
from pretrain.evaluation.runner import run_evaluation


def evaluate(export, data, output=None, *, progress=None, **options):
    """The metrics of the task with these options."""
    return run_evaluation("classification", export, data, output, options=options, progress=progress)


CLASSES = ["apple", "blue_car", "cup", "dog", "eye", "fish", "tree"]


@pytest.fixture
def folders(tmp_path):
    """Seven classes with one to three images each, one of them broken, and a stray file."""
    generator = np.random.default_rng(0)
    root = tmp_path / "classes"
    for place, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for number in range(1 + place % 3):
            noise = generator.integers(0, 256, (24, 20, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / name / f"{number}.png")
    (root / "cup" / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    (root / "notes.txt").write_text("x")
    return root


def referee(export, root):
    """(top1, top5, mean per class) from the stock model alone, one image and one prompt at a time."""
    model = AutoModel.from_pretrained(export).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(export), AutoTokenizer.from_pretrained(export)
    classes = []
    with torch.no_grad():
        for name in CLASSES:
            name = name.replace("_", " ")
            article = "an" if name[0] in "aeiou" else "a"
            prompts = [
                model.get_text_features(**tokenizer(t, return_tensors="pt"))[1][0]
                for t in (f"{article} {name}", f"the {name}")
            ]
            classes.append(sum(p / p.norm() for p in prompts))
        ranks = []
        for label, name in enumerate(CLASSES):
            for file in sorted((root / name).glob("*.png")):
                features = model.get_image_features(**processor(Image.open(file), return_tensors="pt"))[1][0]
                scores = [float(torch.cosine_similarity(features, one, dim=0)) for one in classes]
                ranks.append((label, sorted(scores, reverse=True).index(scores[label])))
    per_class = [np.mean([rank < 1 for own, rank in ranks if own == label]) for label in range(len(CLASSES))]
    return (
        np.mean([rank < 1 for _, rank in ranks]),
        np.mean([rank < 5 for _, rank in ranks]),
        np.mean(per_class),
        len(ranks),
    )


@pytest.mark.parametrize("batch_size", [2, 64])
def test_scores_are_those_of_the_stock_model_one_by_one(export, folders, tmp_path, batch_size):
    top1, top5, per_class, count = referee(export, folders)
    output = tmp_path / "scores"
    metrics = evaluate(export, str(folders), str(output), batch_size=batch_size, examples=3)
    assert [metrics[name] for name in ("top1", "top5", "mean_per_class")] == pytest.approx(
        [top1, top5, per_class]
    )
    assert metrics["images"] == count
    assert metrics["skipped"] == {"unknown_image_format": 1}
    assert metrics["chance"] == pytest.approx(1 / 7)
    assert json.loads((output / "metrics.json").read_text()) == metrics
    examples = json.loads((output / "examples.json").read_text())["classification"]
    assert len(examples) == 3
    assert examples[0]["class"] == "apple"
    assert all(len(one["found"]) == 5 for one in examples)


def test_shards_say_the_same_as_folders(export, folders, tmp_path):
    samples = [
        (f"{name}-{file.stem}", {"png": file.read_bytes(), "json": json.dumps({"class": name}).encode()})
        for name in CLASSES
        for file in sorted((folders / name).glob("*.png"))
    ]
    samples.append(("zz", {"png": samples[0][1]["png"]}))
    write_shard(tmp_path / "s" / "0.tar", samples)
    expected = evaluate(export, str(folders))
    found = evaluate(export, str(tmp_path / "s"))
    same = ("top1", "top5", "mean_per_class", "images", "classes")
    assert [found[name] for name in same] == [expected[name] for name in same]
    assert found["skipped"] == {"no_class": 1}


def test_numbers_get_their_names(export, folders, tmp_path):
    image = (folders / "cup" / "0.png").read_bytes()
    samples = [(str(n), {"png": image, "json": json.dumps({"class": n}).encode()}) for n in (10, 2, 0)]
    write_shard(tmp_path / "s" / "0.tar", samples)
    (tmp_path / "names.json").write_text(json.dumps([f"thing {n}" for n in range(11)]))
    metrics = evaluate(export, str(tmp_path / "s"), str(tmp_path / "o"), classes=str(tmp_path / "names.json"))
    examples = json.loads((tmp_path / "o" / "examples.json").read_text())["classification"]
    assert [one["class"] for one in examples] == ["thing 10", "thing 2", "thing 0"]
    # The same image thrice: whatever is first is right once.
    assert (metrics["top1"], metrics["top5"]) == (pytest.approx(1 / 3), 1.0)


def test_a_scene_of_one_object_is_of_its_class(export, scenes):
    metrics = evaluate(export, scenes)
    assert metrics["images"] == 3  # of ten scenes every third has one object, the last has no boxes
    assert metrics["skipped"] == {"no_class": 7}


def test_user_errors(export, shards, folders, tmp_path):
    with pytest.raises(InputError, match="names no class"):
        evaluate(export, shards)
    with pytest.raises(InputError, match="which is not there"):
        evaluate(export, str(folders), classes=str(tmp_path / "none.json"))
    with pytest.raises(InputError, match="batch_size is 0"):
        evaluate(export, str(folders), batch_size=0)
