"""Models of phase L on a GPU: scores near those of the CPU, and the same bits whatever the batch.

Needs torch, transformers and pyarrow alone. Without a GPU it is rehearsed on the CPU.
"""

import numpy as np
import pytest
import torch
from pictures import look_pictures
from tiny_matching import tiny_matching
from tiny_models import tiny_classifier, tiny_dual_encoder

from pipelines.curate.look import dual_encoder, image_classifier, matcher
from pipelines.curate.look.band import Band
from pipelines.curate.look.dual_encoder import dual_encoder_scores
from pipelines.curate.look.fixed_calls import ROWS_ON_GPU, FixedCalls
from pipelines.curate.look.image_classifier import classifier_scores
from pipelines.curate.look.matching import matching_group

pytestmark = pytest.mark.gpu
CAPTIONS = ("a red cat", "the dog runs across the green field " * 9, "a")


@pytest.fixture(autouse=True)
def _models_of_this_test():
    yield
    _models_cleared()


@pytest.mark.parametrize("kind", ["classifier", "clip", "siglip"])
def test_scores(tmp_path, kind, monkeypatch):
    if kind == "classifier":
        group = classifier_scores(tiny_classifier(tmp_path / "model"), "unsafe")
    else:
        group = dual_encoder_scores(tiny_dual_encoder(tmp_path / "model", kind), "mine", embeddings=True)
    pictures = look_pictures(ROWS_ON_GPU + 7, CAPTIONS)
    whole = group.measure(pictures)
    for first, last in ((0, 1), (5, 6), (3, 40), (1, ROWS_ON_GPU + 7)):
        part = group.measure(pictures[first:last])
        assert part.to_pydict() == whole.slice(first, last - first).to_pydict()
    _models_cleared()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    np.testing.assert_allclose(
        group.measure(pictures).column(0).to_numpy(), whole.column(0).to_numpy(), atol=1e-5
    )


def _models_cleared() -> None:
    dual_encoder.encoder_of_process.cache_clear()
    matcher.matcher_of_process.cache_clear()
    image_classifier.classifier_of_process.cache_clear()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("band", [None, Band("itc", -0.1, 0.3, 0.0)])
def test_matching(tmp_path, precision, band, monkeypatch):
    group = matching_group(tiny_matching(tmp_path / "model", tokens=40), "", precision, band)
    pictures = look_pictures(ROWS_ON_GPU + 7, CAPTIONS)
    whole = group.measure(pictures)
    for first, last in ((0, 1), (5, 12), (3, 35), (1, ROWS_ON_GPU + 7)):
        part = group.measure(pictures[first:last])
        assert part.to_pydict() == whole.slice(first, last - first).to_pydict()
    _models_cleared()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    plain = matching_group(str(tmp_path / "model"), "", "fp32", None).measure(pictures)
    near = 1e-5 if precision == "fp32" else 0.1
    np.testing.assert_allclose(whole.column("itc").to_numpy(), plain.column("itc").to_numpy(), atol=near)
    there = whole.column("itm").is_valid().to_numpy(False)
    assert there.any()
    itm = whole.column("itm").to_numpy(False)[there]
    np.testing.assert_allclose(itm, plain.column("itm").to_numpy()[there], atol=near)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="fills the memory of a GPU")
def test_calls_are_halved_where_memory_does_not_suffice():
    def compute(chunk):
        rows = len(chunk["x"])
        if rows > 8:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")  # more than any GPU has
        return chunk["x"].sum(1)

    x = torch.randn(20, 5)
    calls = FixedCalls(torch.device("cuda"))
    torch.testing.assert_close(calls(compute, {"x": x}), x.sum(1), rtol=1e-5, atol=1e-5)
    assert calls.rows == 8
