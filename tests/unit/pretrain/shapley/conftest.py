"""The referee of the Shapley package and a small dual encoder, as fixtures: test files are no package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from pretrain.model_config import ModelConfig
from pretrain.models.dual_encoder import DualEncoder


@pytest.fixture(scope="session")
def referee() -> ModuleType:
    """The module referee.py beside this file."""
    spec = importlib.util.spec_from_file_location("shapley_referee", Path(__file__).with_name("referee.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def encoder() -> DualEncoder:
    """Swin and BERT on a 3 x 3 grid, with dropout and stochastic depth switched on."""
    torch.manual_seed(0)
    image = {"image_size": 24, "width": 16, "depths": [1, 1], "heads": [2, 2], "window": 3, "drop_path": 0.5}
    text = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "dropout": 0.3}
    model = DualEncoder(ModelConfig(image=image, text=text, projection_dim=8), vocabulary_size=40)
    # Random weights are nearly blind to what is masked: make the layers matter.
    for name, weight in model.named_parameters():
        if weight.dim() > 1 and "projection" not in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model.train()


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two images; captions of 5 and 3 words between [CLS] and [SEP], padded to 8."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(2, 3, 24, 24, generator=generator)
    ids = torch.randint(5, 40, (2, 8), generator=generator)
    return pixels, ids, torch.tensor([[1] * 7 + [0], [1] * 5 + [0] * 3])
