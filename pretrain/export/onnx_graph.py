"""Writes a torch module as an ONNX file with free axes, and compares the two through onnxruntime."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim
from transformers import PreTrainedModel

from pretrain.export.parity import largest_difference

OPSET = 18


@dataclass(frozen=True)
class Graph:
    """A module that returns a tuple, and its ONNX file. Axis 0 of every tensor is the batch, of any size."""

    file: str
    module: nn.Module
    inputs: dict[str, dict[int, str]]
    """Name → its free axes by number, named."""
    outputs: tuple[str, ...]
    examples: Callable[[int], tuple[Tensor, ...]]
    """Batch size → inputs of that batch size; other free axes may differ from one size to the next."""


def write_graph(graph: Graph, folder: Path, towers: Sequence[PreTrainedModel] = ()) -> None:
    """Write `folder / graph.file`, and FILE.data beside it where the weights are more than protobuf's 2 GB.

    `towers` are those in the module whose attention must be written out.
    """
    dims: dict[str, Dim] = {}
    axes = {
        name: {axis: dims.setdefault(label, Dim(label, min=1)) for axis, label in labels.items()}
        for name, labels in graph.inputs.items()
    }
    with _eager_attention(towers), _quiet():
        program = torch.onnx.export(
            graph.module.eval(),
            graph.examples(2),  # with a batch of one, torch would fix the size of that axis
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=tuple(axes.values()),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        assert program is not None  # it is with dynamo=True
        program.save(folder / graph.file)


def compare_graph(graph: Graph, folder: Path, batches: Sequence[int]) -> float:
    """Largest absolute difference of any output between the module in torch and its file in onnxruntime, on the CPU."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = InferenceSession(folder / graph.file, options, providers=["CPUExecutionProvider"])
    pairs: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        inputs = graph.examples(batch)
        feed = {name: value.numpy() for name, value in zip(graph.inputs, inputs, strict=True)}
        from_file = session.run(list(graph.outputs), feed)
        with torch.no_grad():
            from_module = graph.module(*inputs)
        pairs += [
            (tensor, torch.from_numpy(array)) for tensor, array in zip(from_module, from_file, strict=True)
        ]
    return largest_difference(pairs)


@contextmanager
def _eager_attention(towers: Sequence[PreTrainedModel]) -> Iterator[None]:
    """While open, attention is computed as matrix products.

    The exporter cannot decompose the fused kernel in a Swin, because of its strides.
    """
    before = [tower.config._attn_implementation for tower in towers]
    try:
        for tower in towers:
            tower.set_attn_implementation("eager")
        yield
    finally:
        for tower, implementation in zip(towers, before, strict=True):
            tower.set_attn_implementation(implementation)


@contextmanager
def _quiet() -> Iterator[None]:
    """While open, the exporter logs no remarks on packages and on its own internals."""
    logger = logging.getLogger("torch.onnx._internal.exporter")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
