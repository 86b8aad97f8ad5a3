"""The training path on a CUDA device: the same losses as on the CPU, in bf16 too, within a bounded memory.

Needs torch and transformers alone. `LOUPE_TEST_DEVICE=cpu` rehearses all but the memory on a machine without a GPU.
"""

import os

import pytest
import torch

from pretrain.data.samples.batch import Batch
from pretrain.objectives.late_interaction import late_interaction_loss
from pretrain.step_context import StepContext
from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.engines.plain import PlainEngine

pytestmark = pytest.mark.gpu
PAIRS, VOCABULARY, SIDE = 32, 200, 64
OBJECTIVES = {
    "contrastive": {},
    "late_interaction": {},
    "hard_negative": {},
    "token_semantics": {},
    "fine_grained": {},
    "unsil": {},
    "box_value": {},
    "phrase_attribution": {"evaluations": 24, "trust": 0.0},
}


@pytest.fixture(scope="module")
def device() -> torch.device:
    wanted = os.environ.get("LOUPE_TEST_DEVICE", "cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device; LOUPE_TEST_DEVICE=cpu rehearses on the CPU")
    return torch.device(wanted)


def recipe(precision: str, objectives: dict, compiled: bool = False) -> DualEncoderConfig:
    return DualEncoderConfig.model_validate(
        {
            "model": {
                "projection_dim": 64,
                "image": {
                    "image_size": SIDE,
                    "width": 48,
                    "depths": [2, 2],
                    "heads": [3, 6],
                    "window": 4,
                    "drop_path": 0,
                },
                "text": {
                    "width": 64,
                    "layers": 2,
                    "heads": 4,
                    "feed_forward": 128,
                    "dropout": 0,
                    "max_tokens": 16,
                },
            },
            "objectives": objectives,
            "supervision": {"budget": 4, "evaluations": 12, "warmup_steps": 2, "head_width": 32},
            "data": {"batch_size": PAIRS},
            "engine": {"precision": precision, "compile": compiled},
        }
    )


def engine(config: DualEncoderConfig, device: torch.device) -> PlainEngine:
    torch.manual_seed(0)
    return PlainEngine(DualEncoderTask(config, VOCABULARY), config, device)


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(1)
    phrases = torch.zeros(PAIRS, 4, 12, dtype=torch.bool)
    phrases[:, 0, 1:3] = True
    phrases[:, 1, 5:8] = True
    return Batch(
        keys=[str(number) for number in range(PAIRS)],
        pixel_values=torch.randn(PAIRS, 3, SIDE, SIDE, generator=generator),
        input_ids=torch.randint(5, VOCABULARY, (PAIRS, 12), generator=generator),
        attention_mask=torch.ones(PAIRS, 12, dtype=torch.long),
        phrase_tokens=phrases,
        phrase_mask=phrases.any(-1),
    )


def losses(
    config: DualEncoderConfig, batch: Batch, device: torch.device, steps: int
) -> list[dict[str, float]]:
    one = engine(config, device)
    seen = []
    for step in range(steps):
        torch.manual_seed(step)
        values = one.forward(batch.to(one.device, one.dtype), StepContext.of(0, step, rank=0))
        one.backward(values["loss"])
        one.step(1e-3, 0.9)
        seen.append({name: float(value.detach()) for name, value in values.items()})
    return seen


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_objective_trains_on_the_device(precision, device, batch):
    seen = losses(recipe(precision, OBJECTIVES), batch, device, steps=30)
    assert all(torch.isfinite(torch.tensor(list(row.values()))).all() for row in seen)
    for name in ("contrastive_loss", "late_interaction_loss", "hard_negative_loss", "fine_grained_loss"):
        assert seen[-1][name] < seen[0][name], name


def test_losses_are_those_of_the_cpu(device, batch):
    config = recipe(
        "fp32", {name: OBJECTIVES[name] for name in ("contrastive", "late_interaction", "hard_negative")}
    )
    here, there = (losses(config, batch, torch.device(where), steps=3) for where in (device, "cpu"))
    for mine, theirs in zip(here, there, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-4)


def test_compiled_towers_train_alike(device, batch):
    plain, compiled = (
        losses(recipe("fp32", {"contrastive": {}}, compiled=on), batch, device, steps=3)
        for on in (False, True)
    )
    for mine, theirs in zip(compiled, plain, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-2, abs=1e-3)


def test_late_interaction_needs_little_memory(device):
    if device.type != "cuda":
        pytest.skip("peak memory is read from the CUDA allocator")
    pairs = 1024  # so many that the blocks of a GPU, 256 MiB each, are small beside the whole
    patches = torch.randn(pairs, 49, 256, device=device, requires_grad=True)
    words = torch.randn(pairs, 32, 256, device=device, requires_grad=True)
    naive = pairs * pairs * 49 * 32 * 4  # bytes of the tensor that must never exist
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    mask = torch.ones(pairs, 32, dtype=torch.bool, device=device)
    scale = torch.zeros(1, device=device)
    loss = late_interaction_loss(
        patches, words, mask, scale, token_share=1.0, wire_dtype=None, chunk_elements=None
    )["late_interaction_loss"]
    loss.backward()
    assert torch.cuda.max_memory_allocated() - before < naive / 4
