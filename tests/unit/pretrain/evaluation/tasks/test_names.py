"""The evaluation `names` against answers found image by image."""

from __future__ import annotations

import json

import pytest
import torch

from data_filters.errors import InputError
from pipelines.shards.reader import iterate
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation.box_embeddings import embed_boxes
from pretrain.evaluation.localisation.judge import Judge
from pretrain.evaluation.runner import check_options, run_evaluation
from pretrain.evaluation.task import Evaluation
from pretrain.evaluation.tasks.names import JUDGES, NamedObjects, Names
from pretrain.evaluation.token_encoder import TokenEncoder


def evaluate(export: str, data: str, **options: object) -> dict:
    return run_evaluation("names", export, data, None, options={"device": "cpu"} | options)


@pytest.fixture
def described(scenes, tmp_path) -> str:
    """The scenes, with a size and a color for every second object."""
    samples = []
    for key, members in iterate(f"{scenes}/00000.tar"):
        metadata = json.loads(members["json"])
        for number, entry in enumerate(metadata.get("objects", [])):
            if number % 2 == 0:
                entry |= {"color": "red", "size": "small"}
        samples.append((key, members | {"json": json.dumps(metadata).encode()}))
    write_shard(tmp_path / "described" / "00000.tar", samples)
    return str(tmp_path / "described")


@pytest.mark.parametrize("judge", [Judge(), Judge("alone", "touched", "median", "max_pooled")])
def test_the_nearest_name_is_the_answer(export, described, judge) -> None:
    metrics = evaluate(export, described)
    encoder = TokenEncoder(export, "cpu")
    stream = SceneStream(described)
    names = stream.names()
    right = {"bare": [], "attributes": []}
    for scene in stream:
        width, height = scene.image.size
        for true_object in scene.objects:
            left, top, wide, high = true_object.box
            box = [(left + wide / 2) / width, (top + high / 2) / height, wide / width, high / height]
            part = embed_boxes(encoder, encoder.pixels([scene.image]), torch.tensor([box]), judge)[0]
            for kind, before in (("bare", ""), ("attributes", true_object.attributes)):
                if kind == "bare" or before:
                    words = [f"{before} {name}".strip() for name in names]
                    texts = [f"an {text}" if text == "umbrella" else f"a {text}" for text in words]
                    scores = encoder.texts(texts, pooling=judge.pooling) @ part
                    right[kind].append(names[int(scores.argmax())] == true_object.name)
    assert len(right["bare"]) == metrics["objects"] > len(right["attributes"]) > 0
    for kind, answers in right.items():
        label = "/".join((judge.embedding, judge.cover, judge.fill, judge.pooling, kind))
        assert metrics["judges"][label] == pytest.approx(sum(answers) / len(answers))


def test_the_best_judge_is_named_and_chance_beside(export, scenes) -> None:
    metrics = evaluate(export, scenes, gallery=5)
    assert metrics["accuracy"] == metrics["judges"][metrics["best"]] == max(metrics["judges"].values())
    assert len(metrics["judges"]) == len(JUDGES)  # these scenes say neither color nor size
    assert metrics["chance"] == 1 / metrics["classes"]
    assert metrics["images"] == 5


def test_a_judge_of_a_part_of_the_objects_is_not_the_best(export) -> None:
    named = NamedObjects(["a", "b"], {"x/bare": 600, "x/attributes": 1}, objects=1000, described=1, images=5)
    evaluation = Evaluation(export, "data", check_options("names", {}), None)
    metrics = Names().summary(evaluation, named)
    assert (metrics["accuracy"], metrics["best"], metrics["described"]) == (0.6, "x/bare", 1)
    assert metrics["judges"]["x/attributes"] == 1


def test_data_without_names_are_refused(export, shards, tmp_path) -> None:
    with pytest.raises(InputError, match="names no object"):
        evaluate(export, shards)
    (tmp_path / "none.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    with pytest.raises(InputError, match="names no object"):
        evaluate(export, str(tmp_path / "none.json"))
    metadata = {"objects": [{"name": "dog", "box": [1, 1, 5, 5]}]}
    _, members = next(iter(iterate(f"{shards}/00000.tar")))
    write_shard(
        tmp_path / "one" / "00000.tar",
        [("0", {"png": members["png"], "json": json.dumps(metadata).encode()})],
    )
    with pytest.raises(InputError, match="have one name, 'dog'; give data with objects of several"):
        evaluate(export, str(tmp_path / "one"))
