"""Embeddings of images of which parts are filled in."""

import torch
from torch import nn

from pretrain.shapley.pixel_game import PixelGame


class Pixels(nn.Module):
    """An encoder whose embedding is the image itself."""

    grid = (1, 1)

    def __init__(self):
        super().__init__()
        self.calls: list[int] = []
        self.was_training: list[bool] = []

    def encode_image(self, pixels, keep=None):
        self.calls.append(len(pixels))
        self.was_training.append(self.training)
        return pixels.flatten(1), pixels.flatten(2)


def test_a_copy_has_its_masks_pixels_and_the_filling():
    generator = torch.Generator().manual_seed(0)
    images, filling = torch.rand(2, 3, 2, 2, generator=generator), torch.rand(2, 3, 1, 1, generator=generator)
    masks = torch.rand(2, 4, 2, 2, generator=generator)
    encoder = Pixels()
    game = PixelGame(encoder, images, filling, chunk=3)
    found = game.embeddings(masks).unflatten(-1, (3, 2, 2))
    for image in range(2):
        for copy in range(4):
            mask = masks[image, copy]
            expected = mask * images[image] + (1 - mask) * filling[image]
            torch.testing.assert_close(found[image, copy], expected)
    assert encoder.calls == [3, 3, 2]
    assert game.forwards == 8
    assert not any(encoder.was_training)
    assert encoder.training
    assert not found.requires_grad
