"""Referee: three nested loops over images, texts and tokens."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from pretrain.objectives.shared.token_similarity import best_match, token_similarity


def naive(images, texts, image_mask, text_mask):
    s_image, s_text = [], []
    for i in range(len(images)):
        for t in range(len(texts)):
            patches = [images[i, p] for p in range(images.shape[1]) if image_mask[i, p]]
            words = [texts[t, w] for w in range(texts.shape[1]) if text_mask[t, w]]
            s_image.append(sum(max(p @ w for w in words) for p in patches) / len(patches))
            s_text.append(sum(max(p @ w for p in patches) for w in words) / len(words))
    shape = (len(images), len(texts))
    return torch.stack(s_image).view(shape), torch.stack(s_text).view(shape)


def batch(images=4, texts=5, patches=6, words=7, dim=8, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    x = torch.nn.functional.normalize(torch.randn(images, patches, dim, dtype=dtype), dim=-1)
    y = torch.nn.functional.normalize(torch.randn(texts, words, dim, dtype=dtype), dim=-1)
    image_mask = torch.rand(images, patches) < 0.8
    text_mask = torch.arange(words) < torch.randint(1, words + 1, (texts, 1))
    image_mask[:, 2] = True  # every image keeps a patch
    return x, y, image_mask, text_mask


@pytest.mark.parametrize("chunk", [1, 100, 10**6])
def test_values_and_gradients_equal_the_loops(chunk):
    x, y, image_mask, text_mask = batch()
    a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
    c, d = x.clone().requires_grad_(), y.clone().requires_grad_()
    ours = token_similarity(a, b, image_mask, text_mask, chunk_elements=chunk)
    loops = naive(c, d, image_mask, text_mask)
    slopes = torch.randn(2, *ours[0].shape)
    sum((s * w).sum() for s, w in zip(ours, slopes, strict=True)).backward()
    sum((s * w).sum() for s, w in zip(loops, slopes, strict=True)).backward()
    for result, expected in zip((*ours, a.grad, b.grad), (*loops, c.grad, d.grad), strict=True):
        torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_gradient_agrees_with_finite_differences():
    x, y, image_mask, text_mask = batch(2, 3, 3, 4, 5, torch.float64)
    x.requires_grad_(), y.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: token_similarity(a, b, image_mask, text_mask), (x, y))


def test_one_direction_alone_is_the_same_as_in_both():
    x, y, image_mask, text_mask = batch()
    both = token_similarity(x, y, image_mask, text_mask)
    for k, direction in enumerate(("image", "text")):
        a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
        c, d = x.clone().requires_grad_(), y.clone().requires_grad_()
        alone = token_similarity(a, b, image_mask, text_mask, direction=direction)
        assert torch.equal(alone[k], both[k])
        assert alone[1 - k].numel() == 0
        alone[k].square().sum().backward()
        token_similarity(c, d, image_mask, text_mask)[k].square().sum().backward()
        torch.testing.assert_close(a.grad, c.grad)
        torch.testing.assert_close(b.grad, d.grad)


def test_padding_may_hold_anything():
    x, y, image_mask, text_mask = batch()
    dirty_x = x.masked_fill(~image_mask.unsqueeze(-1), float("nan")).requires_grad_()
    dirty_y = y.masked_fill(~text_mask.unsqueeze(-1), 100.0).requires_grad_()
    dirty = token_similarity(dirty_x, dirty_y, image_mask, text_mask)
    clean = token_similarity(x, y, image_mask, text_mask)
    assert torch.equal(dirty[0], clean[0])
    assert torch.equal(dirty[1], clean[1])
    (dirty[0].sum() + dirty[1].sum()).backward()
    assert torch.equal(dirty_x.grad[~image_mask], torch.zeros_like(x[~image_mask]))
    assert torch.equal(dirty_y.grad[~text_mask], torch.zeros_like(y[~text_mask]))


def test_a_text_without_words_has_similarity_0_and_no_gradient():
    x, y, image_mask, text_mask = batch()
    text_mask[1] = False
    x.requires_grad_(), y.requires_grad_()
    s_image, s_text = token_similarity(x, y, image_mask, text_mask)
    assert (s_image[:, 1] == 0).all()
    assert (s_text[:, 1] == 0).all()
    (s_image[:, 1].sum() + s_text[:, 1].sum()).backward()
    assert (x.grad == 0).all()
    assert (y.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_stays_close_and_small_slopes_survive(dtype):
    x, y, image_mask, text_mask = batch(2, 200, 49, 30, 16)
    a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
    c, d = x.to(dtype).requires_grad_(), y.to(dtype).requires_grad_()
    for p, q in ((a, b), (c, d)):
        s_image, s_text = token_similarity(p, q, image_mask, text_mask)
        assert s_image.dtype == torch.float32
        # Shared among 49 tokens this slope is below fp16's smallest number; the sums over texts are not.
        ((s_image.sum() + s_text.sum()) * 2e-6).backward()
    relative = (c.grad.float() - a.grad).norm() / a.grad.norm()
    assert relative < (0.03 if dtype == torch.float16 else 0.1)


def test_best_match_is_the_maximum_over_all_real_tokens():
    x, y, _, text_mask = batch()
    expected = torch.stack([torch.stack([(y[text_mask] @ token).max() for token in item]) for item in x])
    for chunk in (1, 10**6):
        torch.testing.assert_close(best_match(x, y, text_mask, chunk_elements=chunk), expected)


def peak_bytes(step) -> int:
    """Return the peak of bytes allocated by torch during `step`, minus the bytes allocated before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        step()
    events = [e for e in recording.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def test_the_recorder_of_memory_sees_what_is_allocated():
    assert 4_000_000 <= peak_bytes(lambda: torch.zeros(1_000_000)) < 4_100_000


def test_peak_memory_is_under_a_tenth_of_the_whole_tensor():
    """Uses the size of a real batch. A direct implementation holds the whole tensor twice: value and gradient."""
    size, patches, words = 256, 49, 32
    x, y, image_mask, text_mask = batch(size, size, patches, words, 8)
    x.requires_grad_(), y.requires_grad_()

    def ours():
        s_image, s_text = token_similarity(x, y, image_mask, text_mask)
        (s_image.sum() + s_text.sum()).backward()

    whole = size * size * patches * words * 4
    assert peak_bytes(ours) < whole / 10
