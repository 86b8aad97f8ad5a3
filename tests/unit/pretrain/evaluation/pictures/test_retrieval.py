import json

import torch
from PIL import Image

from pretrain.evaluation.data.gallery import Gallery
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.pictures.retrieval import retrieval_examples, write_retrieval_examples


def test_examples_are_the_best_of_the_whole_matrix(shards, tmp_path):
    pictures = list(SampleStream(shards))
    captions = tuple(text for picture in pictures for text in picture.captions)
    owner = torch.tensor([number for number, picture in enumerate(pictures) for _ in picture.captions])
    generator = torch.Generator().manual_seed(1)
    images, texts = (torch.randn(n, 6, generator=generator) for n in (len(pictures), len(captions)))
    scores = images @ texts.T
    examples = retrieval_examples(Gallery(owner, captions, {}, images, texts), count=4)
    assert [entry["image"] for entry in examples["image_to_text"]] == [0, 3, 6, 9]
    for entry in examples["image_to_text"]:
        order = sorted(range(len(captions)), key=lambda row: -float(scores[entry["image"], row]))[:5]
        assert [hit["caption"] for hit in entry["found"]] == [captions[row] for row in order]
        assert [hit["right"] for hit in entry["found"]] == [
            int(owner[row]) == entry["image"] for row in order
        ]
        assert tuple(entry["captions"]) == pictures[entry["image"]].captions
    for entry in examples["text_to_image"]:
        column = scores[:, captions.index(entry["caption"])]
        order = sorted(range(len(pictures)), key=lambda place: -float(column[place]))[:5]
        assert [hit["image"] for hit in entry["found"]] == order

    write_retrieval_examples(str(tmp_path), examples, shards)
    assert json.loads((tmp_path / "examples.json").read_text()) == examples
    named = {entry["image"] for entries in examples.values() for entry in entries}
    named |= {hit["image"] for entry in examples["text_to_image"] for hit in entry["found"]}
    assert {path.stem for path in (tmp_path / "examples").iterdir()} == {str(number) for number in named}
    with Image.open(tmp_path / "examples" / "0.jpg") as image:
        assert max(image.size) <= 160
