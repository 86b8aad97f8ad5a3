"""Evaluation of a module that leaves its state unchanged, so that estimates do not affect training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def undisturbed(*modules: nn.Module) -> Iterator[None]:
    """Set `modules` to evaluation mode without gradients while the context is open, and restore them afterwards.

    Restored on leaving, after an exception as well: the training flag of every submodule (a frozen tower may be in
    evaluation mode inside a training model), the values of every buffer (running statistics), and the random
    generators of the CPU and of the CUDA device that the modules are on. Parameters and their `.grad` are never
    written, since no graph is recorded. `torch.no_grad`, not `inference_mode`: what is computed here becomes a
    label in a loss, and inference tensors may not be saved for a backward pass.
    """
    parts = [part for module in modules for part in module.modules()]
    flags = [part.training for part in parts]
    buffers = [buffer for part in parts for buffer in part.buffers(recurse=False)]
    saved = [buffer.detach().clone() for buffer in buffers]
    parameters = (parameter for part in parts for parameter in part.parameters(recurse=False))
    found = {tensor.device for tensor in (*buffers, *parameters)}
    devices = sorted({device.index or 0 for device in found if device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        try:
            for module in modules:
                module.eval()
            yield
        finally:
            for part, training in zip(parts, flags, strict=True):
                if part.training != training:
                    part.training = training
            for buffer, value in zip(buffers, saved, strict=True):
                # Only changed buffers are written: a copy raises the version of a tensor that autograd may have saved.
                if not torch.equal(buffer, value):
                    buffer.copy_(value)
