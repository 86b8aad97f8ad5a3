"""Random coalitions in training: their share and seed, and none in evaluation mode; rates of the heads."""

import torch

from pretrain.data.samples.batch import Batch
from pretrain.model_config import ImageTowerConfig
from pretrain.tasks.dual_encoder import DualEncoderTask, random_coalitions
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

TINY = {
    "model": {
        "projection_dim": 8,
        "image": {
            "kind": "vit",
            "image_size": 16,
            "patch_size": 4,
            "width": 8,
            "depths": [1],
            "heads": [2],
            "masked_share": 0.5,
        },
        "text": {"width": 8, "layers": 1, "heads": 2, "feed_forward": 8, "max_tokens": 8, "dropout": 0.0},
    },
    "data": {"batch_size": 4},
}


def coalitions(seed: int, **settings: float) -> torch.Tensor:
    torch.manual_seed(seed)
    keep = random_coalitions(4000, 16, ImageTowerConfig(**settings), torch.zeros(1))
    assert keep is not None
    return keep


def test_share_of_images_and_of_cells():
    keep = coalitions(0, masked_share=0.5, masked_least=0.25)
    assert set(keep.unique().tolist()) == {0.0, 1.0}
    whole = keep.all(1)
    # Half of the images stay whole, and a few of the others keep all cells: E[q^16], q uniform on 1/4..1, is 0.078.
    assert abs(whole.float().mean() - (0.5 + 0.5 * 0.078)) < 0.03
    present = keep[~whole].mean(1)
    assert abs(present.mean() - 0.59) < 0.03  # 0.625 among the images that lose cells
    assert coalitions(0, masked_share=1.0, masked_least=0.9).mean() > 0.93


def test_the_seed_of_the_step_decides():
    assert torch.equal(coalitions(3, masked_share=0.7), coalitions(3, masked_share=0.7))
    assert not torch.equal(coalitions(3, masked_share=0.7), coalitions(4, masked_share=0.7))


def test_without_a_share_nothing_is_drawn():
    state = torch.get_rng_state()
    assert random_coalitions(4, 16, ImageTowerConfig(), torch.zeros(1)) is None
    assert torch.equal(state, torch.get_rng_state())


def test_only_training_drops_cells():
    torch.manual_seed(0)
    module = DualEncoderTask(DualEncoderConfig.model_validate(TINY), vocabulary_size=50)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 50, (4, 8), generator=generator)
    batch = Batch(
        pixel_values=torch.randn(4, 3, 16, 16, generator=generator),
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        phrase_tokens=torch.zeros(4, 0, 8, dtype=torch.bool),
        phrase_mask=torch.zeros(4, 0, dtype=torch.bool),
        keys=["a", "b", "c", "d"],
    )
    plain, _ = module.dual_encoder.eval().encode_image(batch.pixel_values)
    assert torch.equal(module.eval().encode(batch).images, plain)
    torch.manual_seed(1)
    assert not torch.allclose(module.train().encode(batch).images, plain, atol=1e-4)


def test_parts_are_the_encoder_the_heads_and_each_supplier():
    names = ["dual_encoder.text_model.x", "region_generator.y", "suppliers.shapley.z.w", "logit_bias"]
    assert [DualEncoderTask.part_of(name) for name in names] == [
        "dual_encoder",
        "region_generator",
        "suppliers.shapley",
        "logit_bias",
    ]
    assert DualEncoderTask.required_parts == ("dual_encoder",)


def test_heads_have_a_rate_of_their_own():
    recipe = TINY | {"objectives": {"contrastive": {}, "phrase_attribution": {}}}
    module = DualEncoderTask(DualEncoderConfig.model_validate(recipe), vocabulary_size=50)
    groups = module.parameter_groups(0.1, head_rate=5.0)
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for group in groups:
        for parameter in group.parameters:
            of_head = names[id(parameter)].startswith("region_generator.")
            assert group.rate == (5.0 if of_head else 1.0)
            assert (group.weight_decay > 0) <= (parameter.ndim >= 2)
    assert sum(len(group.parameters) for group in groups) == len(names)
    assert {group.rate for group in module.parameter_groups(0.1)} == {1.0}
