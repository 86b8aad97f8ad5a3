"""Referee: similarities in nested loops, cross-entropies written out."""

import math

import torch
from torch.nn import functional as F

from pretrain.objectives.late_interaction import keep_best, late_interaction_loss

ALL_TOKENS = {"token_share": 1.0, "wire_dtype": None, "chunk_elements": None}


def pairs(count=5, patches=6, words=7, dim=8, seed=0):
    torch.manual_seed(seed)
    x = F.normalize(torch.randn(count, patches, dim), dim=-1)
    y = F.normalize(torch.randn(count, words, dim), dim=-1)
    return x, y, torch.arange(words) < torch.randint(1, words + 1, (count, 1)), torch.tensor([math.log(10.0)])


def naive_loss(x, y, mask, log_scale):
    count, scale = len(x), log_scale.exp()[0]
    s_image = [[0.0] * count for _ in range(count)]
    s_text = [[0.0] * count for _ in range(count)]
    for i in range(count):
        for t in range(count):
            words = [w for w, real in zip(y[t], mask[t], strict=True) if real]
            s_image[i][t] = sum(max(p @ w for w in words) for p in x[i]) / len(x[i])
            s_text[i][t] = sum(max(p @ w for p in x[i]) for w in words) / len(words)
    total = 0.0
    for k in range(count):
        over_texts = sum(torch.exp(scale * s_image[k][t]) for t in range(count))
        over_images = sum(torch.exp(scale * s_text[i][k]) for i in range(count))
        total = total - torch.log(torch.exp(scale * s_image[k][k]) / over_texts) / count
        total = total - torch.log(torch.exp(scale * s_text[k][k]) / over_images) / count
    return total / 2


def test_loss_and_gradients_equal_the_loops():
    x, y, mask, scale = pairs()
    ours = [t.clone().requires_grad_() for t in (x, y, scale)]
    loops = [t.clone().requires_grad_() for t in (x, y, scale)]
    loss = late_interaction_loss(ours[0], ours[1], mask, ours[2], **ALL_TOKENS | {"chunk_elements": 200})[
        "late_interaction_loss"
    ]
    expected = naive_loss(loops[0], loops[1], mask, loops[2])
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    for a, b in zip(ours, loops, strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=0)


def test_half_precision_on_the_wire_changes_little_and_something():
    x, y, mask, scale = pairs()
    whole = late_interaction_loss(x, y, mask, scale, **ALL_TOKENS)["late_interaction_loss"]
    for dtype, tolerance in ((torch.float16, 2e-3), (torch.bfloat16, 2e-2)):
        rounded = late_interaction_loss(x, y, mask, scale, **ALL_TOKENS | {"wire_dtype": dtype})[
            "late_interaction_loss"
        ]
        assert 0 < (rounded - whole).abs() < tolerance


def test_a_quarter_of_the_tokens_are_those_that_match_best():
    x, y, mask, scale = pairs(4, 8, 8)
    best_of_patch = torch.stack([torch.stack([(y[mask] @ p).max() for p in item]) for item in x])
    best_of_word = torch.stack([torch.stack([(x.flatten(0, 1) @ w).max() for w in item]) for item in y])
    kept_x, kept_y = [], []
    for i in range(4):
        kept_x.append(x[i][best_of_patch[i].sort(descending=True).indices[:2]])
        real = mask[i].nonzero().flatten()
        order = best_of_word[i][real].sort(descending=True).indices
        kept_y.append(y[i][real[order[: math.ceil(len(real) / 4)]]])
    longest = max(map(len, kept_y))
    padded = torch.stack([F.pad(w, (0, 0, 0, longest - len(w))) for w in kept_y])
    kept_mask = torch.stack([torch.arange(longest) < len(w) for w in kept_y])
    expected = late_interaction_loss(torch.stack(kept_x), padded, kept_mask, scale, **ALL_TOKENS)
    ours = late_interaction_loss(x, y, mask, scale, **ALL_TOKENS | {"token_share": 0.25})
    torch.testing.assert_close(ours, expected)


def test_kept_tokens_carry_their_gradient():
    x, y, mask, scale = pairs(4, 8, 8)
    x.requires_grad_()
    late_interaction_loss(x, y, mask, scale, **ALL_TOKENS | {"token_share": 0.25})[
        "late_interaction_loss"
    ].backward()
    assert ((x.grad.abs().sum(-1) > 0).sum(1) <= 2).all()
    assert x.grad.abs().sum() > 0


def test_keeping_never_takes_padding():
    tokens = torch.arange(8.0).view(1, 8, 1)
    mask = torch.tensor([[True, False, False, True, True, False, False, True]])
    kept, kept_mask = keep_best(tokens, mask, torch.tensor([[1.0, 9, 9, 3, 2, 9, 9, 0]]), 0.5)
    assert kept[kept_mask].flatten().tolist() == [3.0, 4.0]


def test_accuracy_counts_rows_whose_own_partner_wins():
    e = torch.eye(4)
    x, y = e[:4].unsqueeze(1), e[[0, 1, 3, 2]].unsqueeze(1)
    result = late_interaction_loss(x, y, torch.ones(4, 1, dtype=torch.bool), torch.zeros(1), **ALL_TOKENS)
    assert result["late_interaction_accuracy"].item() == 0.5
