import math

import pytest
import torch
from torch import nn

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from pretrain.export.onnx_graph import Graph, compare_graph, write_graph


class Doubled(nn.Module):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return (x * self.factor, x.sum(1))


def graph(module):
    examples = lambda batch: (torch.arange(batch * 3.0).view(batch, 3),)  # noqa: E731
    return Graph("x.onnx", module, {"x": {0: "batch"}}, ("doubled", "sums"), examples)


def test_a_file_is_compared_at_every_batch_size(tmp_path):
    write_graph(graph(Doubled()), tmp_path)
    assert compare_graph(graph(Doubled()), tmp_path, (1, 4)) <= 1e-6
    # The largest value at batch 4 is 11: a factor of 2.5 is off by 5.5 there.
    assert compare_graph(graph(Doubled(2.5)), tmp_path, (1, 4)) == pytest.approx(5.5)
    assert math.isnan(compare_graph(graph(Doubled(math.nan)), tmp_path, (1,)))
