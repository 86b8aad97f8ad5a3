"""One torch module → one ONNX file with free axes, and back through onnxruntime."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pretrain.export.parity import largest_difference

OPSET = 18


@dataclass(frozen=True)
class Graph:
    """A module, which returns a tuple, and its ONNX file. Axis 0 of every tensor is the batch and free."""

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
    free: dict[str, Any] = {}
    axes = {
        name: {axis: free.setdefault(label, torch.export.Dim(label, min=1)) for axis, label in own.items()}
        for name, own in graph.inputs.items()
    }
    with _eager_attention(towers), _quiet():
        program = torch.onnx.export(
            graph.module.eval(),
            graph.examples(2),  # of one, torch would take the batch for fixed
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=tuple(axes.values()),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
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
        theirs = session.run(list(graph.outputs), feed)
        with torch.no_grad():
            ours = graph.module(*inputs)
        pairs += [(own, torch.from_numpy(other)) for own, other in zip(ours, theirs, strict=True)]
    return largest_difference(pairs)


@contextmanager
def _eager_attention(towers: Sequence[PreTrainedModel]) -> Iterator[None]:
    """Attention as matrix products: the exporter cannot decompose a Swin with the fused kernel (its strides)."""
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
    """Without the exporter's remarks on packages and on its own internals."""
    logger = logging.getLogger("torch.onnx._internal.exporter")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
