"""The pixels that training without augmentation makes of a picture."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from pretrain.data.samples.batch import normalised
from pretrain.data.samples.images import Augmentation, crop


def training_pixels(image: Image.Image, size: int) -> np.ndarray:
    """[3, size, size] float32 pixels from -1 to 1 of the whole picture."""
    values = crop(image, size, "", Augmentation(None), np.random.default_rng(0))
    return normalised(torch.from_numpy(values), torch.float32).numpy()
