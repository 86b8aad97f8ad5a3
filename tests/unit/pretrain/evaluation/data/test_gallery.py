import pytest
import torch

from data_filters.errors import InputError
from pretrain.evaluation.data.gallery import Gallery, embed_gallery, read_gallery
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.encoder import ExportedEncoder


@pytest.mark.parametrize("batch_size", [2, 100])
def test_every_image_and_caption_is_handed_on_once_in_order(shards, batch_size):
    images, texts, calls = [], [], []
    read = read_gallery(
        shards,
        lambda batch: images.append(len(batch)),
        texts.append,
        size=6,
        batch_size=batch_size,
        progress=lambda *call: calls.append(call),
    )
    pictures = list(SampleStream(shards))[:6]
    captions = [text for picture in pictures for text in picture.captions]
    assert sum(images) == 6
    assert [text for batch in texts for text in batch] == captions == list(read.captions)
    assert max(map(len, texts)) <= batch_size
    assert read.text_owner.tolist() == [
        number for number, picture in enumerate(pictures) for _ in picture.captions
    ]
    assert read.skipped == {"no_caption": 1}
    assert calls[-1] == (6, 6)


def test_scores_and_ranks_are_those_of_the_whole_matrix():
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(n, 4, generator=generator) for n in (5, 8))
    owner = torch.tensor([0, 0, 1, 2, 2, 3, 4, 4])
    gallery = Gallery(owner, tuple("abcdefgh"), {}, images, texts)
    scores = images @ texts.T
    torch.testing.assert_close(gallery.scores_of_image(2), scores[2])
    torch.testing.assert_close(gallery.scores_of_text(3), scores[:, 3])
    of_images, of_texts = gallery.ranks()
    for image in range(5):
        best = scores[image, owner == image].max()
        assert int(of_images[image]) == int((scores[image, owner != image] > best).sum())
    for text in range(8):
        right = scores[owner[text], text]
        assert int(of_texts[text]) == int((scores[:, text] > right).sum())


def test_a_diverged_model_is_one_clear_line(export, shards, monkeypatch):
    encoder = ExportedEncoder(export)
    monkeypatch.setattr(
        encoder, "embed_texts", lambda texts, pooling: torch.full((len(texts), 16), float("nan"))
    )
    with pytest.raises(InputError, match="embeddings are not finite"):
        embed_gallery(encoder, shards)
    with pytest.raises(InputError, match="has 13 readable pairs .* gallery asks for 14"):
        embed_gallery(ExportedEncoder(export), shards, size=14)
