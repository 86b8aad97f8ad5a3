"""Each body by itself: padding, independence of queries, and the equations written out."""

import pytest
import torch
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.models.unsil_bodies import BODIES, Conv1d, MlpAttention, build_body

WIDTH = 8


def inputs(queries=3, context=5):
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[True] * context, [True, False, True, False, False], [False] * context])
    return (
        torch.randn(3, queries, WIDTH, generator=generator),
        torch.randn(3, context, WIDTH, generator=generator),
        mask,
    )


def body_of(name):
    torch.manual_seed(1)
    return build_body(name, WIDTH, 2).eval()


@pytest.mark.parametrize("name", BODIES)
def test_one_finite_vector_per_query_whatever_padding_holds(name):
    body, (queries, context, mask) = body_of(name), inputs()
    output = body(queries, context, mask)
    assert output.shape == queries.shape
    assert output.isfinite().all()
    other = torch.where(mask[..., None], context, torch.full_like(context, 1e3))
    torch.testing.assert_close(body(queries, other, mask), output)


@pytest.mark.parametrize("name", BODIES)
def test_a_query_does_not_depend_on_the_others(name):
    body, (queries, context, mask) = body_of(name), inputs()
    output = body(queries, context, mask)
    torch.testing.assert_close(body(queries[:, 1:2], context, mask), output[:, 1:2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BODIES)
def test_the_context_matters(name):
    body, (queries, context, mask) = body_of(name), inputs()
    changed = body(queries, context.flip(-1), mask) - body(queries, context, mask)
    assert changed[:2].abs().amax(-1).min() > 1e-4
    assert not changed[2].any()  # nothing but padding there


@pytest.mark.parametrize(
    ("name", "matters"), [("mlp_attention", False), ("transformer", False), ("conv1d", True)]
)
def test_the_order_of_the_context_matters_to_convolutions_alone(name, matters):
    body, (queries, context, mask) = body_of(name), inputs()
    order = torch.tensor([3, 0, 4, 1, 2])
    turned = body(queries[:1], context[:1, order], mask[:1])
    assert torch.allclose(turned, body(queries[:1], context[:1], mask[:1]), atol=1e-5) != matters


def test_mlp_attention_is_its_equations():
    """Eq. 28-30 for one query and one item, with attention written as a softmax per head."""
    body, (queries, context, mask) = body_of("mlp_attention"), inputs(queries=1)
    assert isinstance(body, MlpAttention)
    query, real = queries[1, 0], context[1][mask[1]]
    query = query + body.query_mlp(query)
    tokens = body.attention.norm(torch.cat([query[None], real + body.context_mlp(real)]))
    q = body.attention.query(tokens[0])
    k, v = body.attention.key_value(tokens).chunk(2, -1)
    heads = []
    for head in range(2):
        part = slice(head * 4, head * 4 + 4)
        heads.append(F.softmax(k[:, part] @ q[part] / 2.0, 0) @ v[:, part])
    mixed = query + body.attention.out(torch.cat(heads))
    torch.testing.assert_close(body(queries, context, mask)[1, 0], mixed + body.out_mlp(mixed))


def test_conv1d_is_its_equation():
    """Eq. 27 for one query and one item: the real tokens alone, no padding."""
    body, (queries, context, mask) = body_of("conv1d"), inputs(queries=1)
    assert isinstance(body, Conv1d)
    query, real = queries[1, 0], context[1][mask[1]]
    sequence = (body.join_query(query) + body.join_context(real)).T[None]
    for convolution in body.convolutions:
        sequence = convolution(F.gelu(sequence))
    mixed = query + sequence[0].mean(-1)
    torch.testing.assert_close(body(queries, context, mask)[1, 0], mixed + body.out_mlp(mixed))


def test_unknown_names_and_widths_are_refused():
    with pytest.raises(InputError, match=r"'lstm'; allowed are mlp_attention, conv1d, transformer"):
        build_body("lstm", WIDTH, 2)
    with pytest.raises(InputError, match="9 is not a multiple of its 2 heads"):
        build_body("transformer", 9, 2)
