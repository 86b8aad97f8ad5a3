"""Two processes with half the batch each give the gradients of one process with the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = """
import json, sys
from contextlib import nullcontext
from pathlib import Path
import torch, torch.distributed as dist
from torch.nn import functional as F
from pretrain.objectives.box_value import BoxValues, box_value_loss
from pretrain.objectives.hard_negative import hard_negative_loss
from pretrain.objectives.late_interaction import late_interaction_loss
from pretrain.objectives.phrase_contrast import PhraseTexts, phrase_contrast_loss
from pretrain.objectives.shared.means import mean_of_real
from pretrain.objectives.sigmoid import sigmoid_loss
from pretrain.ranks import process_group

rank, ranks, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.manual_seed(0)
features = torch.randn(8, 6), torch.randn(8, 6), torch.randn(8, 5, 6), torch.randn(8, 4, 6)
mask = torch.arange(4) < torch.tensor([4, 2, 1, 3, 4, 4, 2, 1])[:, None]
late = torch.arange(8)[:, None] >= 4
weight = torch.nn.Parameter(torch.eye(6) + 0.3 * torch.randn(6, 6))
scale, bias = torch.nn.Parameter(torch.tensor([2.0])), torch.nn.Parameter(torch.tensor([-1.0]))
names = torch.tensor([[1, 2], [3, 0], [1, 4], [0, 0], [5, 6], [2, 0], [8, 0], [9, 0]])
content = (names > 0).long()[..., None] << names[..., None].expand(-1, -1, 2)
share = slice(rank * 8 // ranks, (rank + 1) * 8 // ranks)

def phrases_of(texts):
    return PhraseTexts(texts[:, :2], names[share] > 0, content[share], content[share])

OBJECTIVES = {
    "late_interaction": lambda x, y, p, w: late_interaction_loss(
        p, w, mask[share], scale, token_share=1.0, wire_dtype=None, chunk_elements=50
    ),
    "late_interaction_wire": lambda x, y, p, w: late_interaction_loss(
        p, w, mask[share], scale, token_share=1.0, wire_dtype=torch.bfloat16, chunk_elements=None
    ),
    "sigmoid": lambda x, y, p, w: sigmoid_loss(x, y, scale, bias, chunk=3),
    "hard_negative_max": lambda x, y, p, w: hard_negative_loss(x, y, margin=0.2, negatives="max"),
    "hard_negative_sum": lambda x, y, p, w: hard_negative_loss(x, y, margin=0.2, negatives="sum"),
    "phrase_contrast": lambda x, y, p, w: phrase_contrast_loss(
        p, phrases_of(w), scale
    ),
    # The first phrase of every other image has another similarity with its own image.
    "phrase_contrast_credited": lambda x, y, p, w: phrase_contrast_loss(
        p, phrases_of(w), scale, (torch.einsum("bd,bkd->bk", x, w[:, :2]), (names % 2 == 1)[share])
    ),
    # Three boxes of the first four count, and one of the others.
    "box_value": lambda x, y, p, w: box_value_loss(
        BoxValues(w[..., 0].sigmoid(), x[:, 0], w[..., 1].detach(), names[share, 1] > 0, 0.5), size_exponent=0.5
    ),
    # 10 real words on one rank, 11 on the other; then 11 and none.
    "mean_of_real": lambda x, y, p, w: {"_loss": mean_of_real((w - x[:, None])[..., 0].square(), mask[share])},
    "mean_of_real_0": lambda x, y, p, w: {
        "_loss": mean_of_real((w - x[:, None])[..., 0].square(), (mask & late)[share])
    },
}

def gradients_losses_and_metrics(objective):
    weight.grad = scale.grad = bias.grad = None
    result = objective(*(F.normalize(f[share] @ weight, dim=-1) for f in features))
    next(v for k, v in result.items() if k.endswith("_loss")).backward()
    numbers = torch.cat([p.grad.flatten() for p in (weight, scale, bias) if p.grad is not None])
    numbers = torch.cat([numbers, torch.stack([v.detach() for v in result.values()])])
    if ranks > 1:
        dist.all_reduce(numbers)
        numbers /= ranks  # what the engine does with gradients
    return numbers.tolist()

with process_group(Path(store), rank, ranks) if ranks > 1 else nullcontext():
    print(json.dumps({name: gradients_losses_and_metrics(objective) for name, objective in OBJECTIVES.items()}))
    if ranks > 1:
        dist.barrier()  # a rank that ends first would close the other's connection
"""


def run(ranks: int, folder: Path) -> dict[str, list[float]]:
    script = folder / "worker.py"
    script.write_text(WORKER)
    root = Path(__file__).parents[4]
    workers = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(ranks), str(folder / f"store{ranks}")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(ranks)
    ]
    outputs, errors = zip(*(worker.communicate(timeout=300) for worker in workers), strict=True)
    assert all(worker.returncode == 0 for worker in workers), "\n".join(errors)
    assert len(set(outputs)) == 1
    return json.loads(outputs[0])


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """Gradients, loss and metrics of each objective, computed by one rank and by two."""
    folder = tmp_path_factory.mktemp("ranks")
    return run(1, folder), run(2, folder)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("late_interaction", 1e-5),
        ("late_interaction_wire", 1e-2),
        ("sigmoid", 1e-5),
        ("hard_negative_max", 1e-5),
        ("hard_negative_sum", 1e-5),
        ("phrase_contrast", 1e-5),
        ("phrase_contrast_credited", 1e-5),
        ("box_value", 1e-5),
        ("mean_of_real", 1e-5),
        ("mean_of_real_0", 1e-5),
    ],
)
def test_gradients_of_two_ranks_are_those_of_the_whole_batch(name, tolerance, numbers):
    by_one_rank, by_two_ranks = numbers
    assert by_two_ranks[name] == pytest.approx(by_one_rank[name], abs=tolerance, rel=tolerance)
