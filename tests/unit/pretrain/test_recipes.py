"""Every shipped recipe is whole, and the paper's holds the paper's figures."""

import pytest

from cluster.recipes import load_recipe, shipped_recipes
from cluster.shipped import PRETRAINING
from data_filters.errors import InputError
from pretrain.tasks import config_class
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


@pytest.mark.parametrize("name", shipped_recipes(PRETRAINING))
def test_a_shipped_recipe_can_run(name):
    config = load_recipe(config_class, PRETRAINING, name)
    assert config.name == name


def test_the_papers_table_5():
    config = load_recipe(DualEncoderConfig, PRETRAINING, "loupe_swin_l_240m")
    image, text, optimizer = config.model.image, config.model.text, config.optimizer
    assert (image.patch_size, image.window, image.image_size) == (4, 7, 224)
    assert [image.width * 2**stage for stage in range(4)] == [192, 384, 768, 1536]
    assert image.heads == (6, 12, 24, 48)
    assert (text.layers, text.width, text.heads, text.feed_forward, text.max_tokens) == (4, 512, 8, 2048, 60)
    assert (optimizer.learning_rate, optimizer.betas, optimizer.weight_decay) == (2e-4, (0.9, 0.999), 0.01)
    assert optimizer.momentum_range == (0.85, 0.95)
    assert (config.data.batch_size, config.schedule.epochs) == (512, 20)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("supervision.regions=50", "supervision.regions is 50; allowed are 1 to 49"),
        ("supervision.budget=4097", "supervision.budget is 4097; allowed are 1 to 512"),
    ],
)
def test_supervision_that_cannot_work_is_refused(override, message):
    with pytest.raises(InputError, match=message):
        load_recipe(DualEncoderConfig, PRETRAINING, "loupe_swin_l_240m", [override])
