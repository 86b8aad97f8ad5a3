"""The hybrid rule: the selection against plain sorting, warm-up, merging, running averages, and several ranks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_filters.errors import InputError
from pretrain.step_context import StepContext
from pretrain.supervision.hybrid_rule import HybridSupervision, merge, select


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def by_the_rule(sigma, real, budget, draw):
    """Apply the rule by plain Python sorting; return (sampled in order, predicted, number that the rule samples)."""
    to_sample = [k for k in range(len(sigma)) if real[k] and draw[k] <= sigma[k]]
    others = [k for k in range(len(sigma)) if real[k] and k not in to_sample]
    padding = [k for k in range(len(sigma)) if not real[k]]
    by_uncertainty = lambda group: sorted(group, key=lambda k: -sigma[k])  # noqa: E731
    sampled = (by_uncertainty(to_sample) + by_uncertainty(others) + by_uncertainty(padding))[:budget]
    return sampled, [real[k] and k not in sampled for k in range(len(sigma))], len(to_sample)


uncertainties = st.floats(0.0, 1.0, width=32)


@settings(max_examples=200, deadline=None)
@given(
    candidates=st.lists(
        st.tuples(uncertainties, st.booleans()), min_size=1, max_size=40, unique_by=lambda c: c[0]
    ),
    seed=st.integers(0, 100),
    data=st.data(),
)
def test_selection_is_the_rule_and_always_of_the_same_size(candidates, seed, data):
    budget = data.draw(st.integers(1, len(candidates)))
    sigma, real = torch.tensor([c[0] for c in candidates]), torch.tensor([c[1] for c in candidates])
    chosen = select(sigma, budget, generator(seed), 0, real=real)
    draw = torch.rand(len(sigma), generator=generator(seed)).tolist()
    sampled, predicted, to_sample = by_the_rule(sigma.tolist(), real.tolist(), budget, draw)
    assert chosen.sampled.shape == (budget,)
    assert len(set(chosen.sampled.tolist())) == budget
    # Adding whole numbers to σ rounds it: two values closer than the rounding may change places.
    expected = torch.tensor(sampled)
    assert (
        (chosen.sampled == expected).logical_or((sigma[chosen.sampled] - sigma[expected]).abs() < 1e-6).all()
    )
    if chosen.sampled.tolist() == sampled:
        assert chosen.use_prediction.tolist() == predicted
        assert chosen.sampled_real.tolist() == [real[k].item() for k in sampled]
    count = max(1, int(real.sum()))
    kept = sum(real[k].item() for k in sampled)
    assert chosen.metrics["share_sampled"].item() == pytest.approx(kept / count)
    assert chosen.metrics["share_predicted"].item() == pytest.approx((int(real.sum()) - kept) / count)
    assert chosen.metrics["share_overflow"].item() == pytest.approx(max(0, to_sample - budget) / count)
    assert chosen.metrics["mean_sigma"].item() == pytest.approx(sigma[real].sum().item() / count, abs=1e-5)


@pytest.mark.parametrize("sigma", [0.0, 1e-3, 0.5, 1.0, float("nan")])
def test_same_count_whatever_the_uncertainty(sigma):
    chosen = select(torch.full((4, 5), sigma), 6, generator(), 10)
    assert chosen.sampled.shape == (6,)
    assert chosen.use_prediction.sum() == 14
    assert chosen.use_prediction.shape == (4, 5)


def test_the_rule_samples_the_uncertain_candidates_first():
    """σ is 0.9 in the first half and 0.1 in the second: over many draws the share that the rule samples is σ."""
    sigma = torch.cat([torch.full((500,), 0.9), torch.full((500,), 0.1)])
    shares = [select(sigma, 500, generator(s), 0).metrics for s in range(20)]
    overflow = torch.stack([m["share_overflow"] for m in shares]).mean()
    # The rule samples 450 + 50 on average, with a deviation of 9.5 per draw; what exceeds 500 overflows: 0.4 × 9.5.
    assert overflow.item() == pytest.approx(0.4 * 9.5 / 1000, abs=0.003)
    first = select(sigma, 400, generator(), 0).sampled
    assert (first < 500).all()


def test_what_the_budget_has_no_room_for_may_be_left_out_and_the_certain_is_predicted_all_the_same():
    sigma = torch.tensor([0.99, 0.98, 0.97, 0.01, 0.02])
    predicted, left = (
        select(sigma, 1, generator(), 0, leave_overflow=leave).use_prediction.tolist()
        for leave in (False, True)
    )
    assert predicted == [False, True, True, True, True]
    assert left == [False, False, False, True, True]


def test_warm_up_samples_evenly_and_never_predicts():
    sigma = torch.linspace(0, 1, 10)
    counts = torch.zeros(10)
    for seed in range(400):
        chosen = select(sigma, 4, generator(seed), 3, warmup_steps=4)
        assert not chosen.use_prediction.any()
        counts[chosen.sampled] += 1
    assert (counts / 400 - 0.4).abs().max() < 0.1
    assert select(sigma, 4, generator(), 4, warmup_steps=4).use_prediction.sum() == 6


def test_warm_up_takes_whole_images_and_no_region_more_often_than_another():
    counts = torch.zeros(5, 4)
    for seed in range(1000):
        chosen = select(torch.rand(5, 4), 6, generator(seed), 0, warmup_steps=1)
        rows = torch.div(chosen.sampled, 4, rounding_mode="floor")
        assert sorted(rows.bincount(minlength=5).tolist(), reverse=True)[:3] == [4, 2, 0]
        counts.view(-1)[chosen.sampled] += 1
    assert (counts / 1000 - 0.3).abs().max() < 0.06  # four standard deviations


def test_the_random_stream_moves_equally_whatever_the_uncertainty():
    after = []
    for sigma in (0.0, 0.5, 1.0):
        stream = generator()
        select(torch.full((8,), sigma), 3, stream, 0)
        after.append(torch.rand(1, generator=stream).item())
    assert len(set(after)) == 1


def test_merge_puts_samples_in_and_leaves_padding_out():
    sigma = torch.tensor([[0.9, 0.8], [0.1, 0.2]])
    real = torch.tensor([[True, False], [True, True]])
    predicted = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    chosen = select(sigma, 2, generator(), 0, real=real)
    values = torch.tensor([10.0, 20.0])
    targets, supervised, sampled = merge(chosen, predicted, values)
    assert supervised.tolist() == real.tolist()
    assert not targets.requires_grad
    for flat, value in zip(chosen.sampled.tolist(), values.tolist(), strict=True):
        assert targets.flatten()[flat] == value
        assert sampled.flatten()[flat]
    untouched = real & ~sampled
    assert torch.equal(targets[untouched], predicted[untouched])

    everything = select(sigma, 4, generator(), 0, real=real)
    _, supervised, sampled = merge(everything, predicted, torch.zeros(4))
    assert torch.equal(supervised, real)
    assert torch.equal(sampled, real)


def test_in_warm_up_what_does_not_fit_has_no_target():
    chosen = select(torch.rand(6), 2, generator(), 0, warmup_steps=1)
    _, supervised, sampled = merge(chosen, torch.zeros(6), torch.ones(2))
    assert supervised.sum() == 2
    assert torch.equal(supervised, sampled)


@pytest.mark.parametrize("budget", [0, 7])
def test_a_budget_that_cannot_be_spent_is_refused(budget):
    with pytest.raises(InputError, match=rf"sampling budget is {budget}; allowed are 1 to 6"):
        select(torch.rand(2, 3), budget, generator(), 0)


def test_running_averages_follow_the_samples_and_survive_a_checkpoint():
    hybrid = HybridSupervision(3, 40, warmup_steps=2, momentum=0.5)
    stream, errors, squares = generator(), 0.0, 0.0
    for step in range(4):
        sigma, real = torch.rand(2, 4), torch.tensor([[True] * 4, [True, False, False, False]])
        chosen = hybrid.select(sigma, StepContext(step, stream), real)
        assert chosen.use_prediction.any().item() == (step >= 2)
        predicted, values = torch.randn(2, 4), torch.randn(3)
        hybrid.observe(chosen, predicted, values.masked_fill(~chosen.sampled_real, float("nan")))
        error = sum(
            (predicted.flatten()[k] - v).item() ** 2
            for k, v, r in zip(chosen.sampled, values, chosen.sampled_real, strict=True)
            if r
        )
        errors, squares = (
            0.5 * errors + error,
            0.5 * squares + values[chosen.sampled_real].square().sum().item(),
        )
    metrics = hybrid.metrics(chosen, images=2)
    assert metrics["relative_error"].item() == pytest.approx((errors / squares) ** 0.5, rel=1e-5)
    assert metrics["evaluations_per_image"].item() == 60
    assert metrics["running_share_sampled"].item() == pytest.approx(3 / 5)
    assert set(metrics) >= {"share_predicted", "mean_sigma", "share_sampled", "share_overflow"}

    resumed = HybridSupervision(3, 40, warmup_steps=2, momentum=0.5)
    resumed.load_state_dict(hybrid.state_dict())
    again = [h.select(torch.full((2, 4), 0.3), StepContext(4, generator(9))) for h in (hybrid, resumed)]
    assert again[1].use_prediction.any(), "a resumed run does not warm up again"
    assert torch.equal(again[0].sampled, again[1].sampled)
    assert torch.equal(hybrid.share_sampled, resumed.share_sampled)


def test_a_branch_warms_up_from_its_own_first_step():
    hybrid = HybridSupervision(3, 40, warmup_steps=2, first_step=100)
    predicted = [
        hybrid.select(torch.full((2, 4), 0.3), StepContext(step, generator(step))).use_prediction.any()
        for step in (100, 101, 102)
    ]
    assert [bool(any_predicted) for any_predicted in predicted] == [False, False, True]


def test_running_averages_stay_fp32_in_a_bf16_module():
    hybrid = HybridSupervision(1, 2)
    hybrid.squared_error.fill_(1.2345678)
    assert torch.equal(hybrid.bfloat16().squared_error, torch.tensor(1.2345678))


WORKER = """
import json, sys
from pathlib import Path
import torch, torch.distributed as dist
from pretrain.ranks import process_group
from pretrain.step_context import StepContext
from pretrain.supervision.hybrid_rule import HybridSupervision, merge

images, regions, draws = 4, 3, 5
encoder = torch.nn.Linear(6, 6)
forwards, shares = [], []

def sharded(module, inputs):  # a sharded forward gathers weights: all ranks must call it the same number of times
    dist.all_reduce(torch.zeros(1))
    forwards[-1].append(len(inputs[0]))

def one_rank(rank):
    encoder.register_forward_pre_hook(sharded)
    hybrid = HybridSupervision(4, draws, warmup_steps=2)
    stream = torch.Generator().manual_seed(rank)
    for step in range(12):
        forwards.append([])
        # Rank 0 has low uncertainties, rank 1 high ones; rank 1 also has padding.
        sigma = torch.full((images, regions), 0.02 if rank == 0 else 0.97) * torch.rand(images, regions)
        real = torch.rand(images, regions) < (1.0 if rank == 0 else 0.5)
        chosen = hybrid.select(sigma, StepContext(step, stream), real)
        players = torch.randn(images * regions, draws, 6)[chosen.sampled]
        with torch.no_grad():
            values = torch.cat([encoder(part).mean((1, 2)) for part in players.split(2)])
        merge(chosen, torch.zeros(images, regions), values)
        shares.append(chosen.metrics["share_predicted"].item())
    dist.barrier()  # a rank that ends first would close the other's connection

rank = int(sys.argv[1])
with process_group(Path(sys.argv[2]), rank, 2):
    one_rank(rank)
print(json.dumps({"forwards": forwards, "shares": shares}))
"""


def test_ranks_with_different_uncertainty_run_equally_many_forwards(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    root = Path(__file__).parents[4]
    workers = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    sure, unsure = (json.loads(text) for text in outputs)
    assert sure["forwards"] == unsure["forwards"] == [[2, 2]] * 12
    assert sure["shares"] != unsure["shares"]
