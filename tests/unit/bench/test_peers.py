"""What the comparison with peers shares: clocks of stages, losses of a log, versions that belong together."""

import time

import pytest
from peer_sides.environment import torchvision_of
from peer_sides.equal_towers import Towers
from peer_sides.sides import losses_of_log
from peer_sides.stage_clock import SKIPPED, StageClock

from pretrain.tasks.dual_encoder_config import DualEncoderConfig

LOG = """\
2026-01-01,00:00:00 | INFO | Train Epoch: 0 [  64/3200 (2%)] Data (t): 0.347 Batch (t): 1.720, 37.2/s, 37.2/s/gpu LR: \
0.000200 Logit Scale: 14.286 Contrastive_loss: 4.3628 (4.3628) Loss: 4.3628 (4.3628)
2026-01-01,00:00:09 | INFO | Train Epoch: 0 [ 704/3200 (22%)] Data (t): 0.008 Batch (t): 1.150, 67.1/s, 67.1/s/gpu LR: \
0.000095 Logit Scale: 14.234 Contrastive_loss: 4.1522 (4.2575) Loss: 4.1522 (4.2575)
"""


def busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_stages_hold_their_own_time_and_sum_to_all() -> None:
    clock = StageClock()
    inner = clock.clocked("decode", lambda: busy(0.02))

    def read() -> None:
        inner()
        busy(0.01)

    outer, step = clock.clocked("read", read), clock.clocked("optimiser", lambda: busy(0.001))
    for _ in range(SKIPPED + 5):
        outer()
        step()
    found = clock.milliseconds(pairs=2)
    assert found["decode"] == pytest.approx(10, rel=0.3)
    assert found["read"] == pytest.approx(5, rel=0.3)
    assert sum(each for stage, each in found.items() if stage != "all") == pytest.approx(found["all"])


def test_items_are_the_same() -> None:
    assert list(StageClock().clocked_items("read", [1, 2, 3])) == [1, 2, 3]


def test_losses_of_a_log_by_step() -> None:
    assert losses_of_log(LOG, batch=64) == {1: 4.3628, 11: 4.1522}


@pytest.mark.parametrize(("torch", "torchvision"), [("2.13.0+cpu", "0.28.0"), ("2.0.1", "0.15.0")])
def test_torchvision_belongs_to_torch(torch: str, torchvision: str) -> None:
    assert torchvision_of(torch) == torchvision


def test_the_recipe_is_understood() -> None:
    config = DualEncoderConfig.model_validate(Towers(patch_size=28, context=48).recipe())
    assert (config.model.image.grid, config.max_tokens) == ((4, 4), 48)
