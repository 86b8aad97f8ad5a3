"""The engine of one process and one device, in torch alone, without DeepSpeed (`loupe pretrain --local`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data_filters.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext
from pretrain.tasks.task import Rows, Task
from pretrain.training.engine import COMPUTE_TYPES, build_optimizer, set_schedule


class PlainEngine:
    """An `Engine` on a single device: weights in fp32, computation in the recipe's precision."""

    # Any: the engine does not know the type of the task's features.
    def __init__(self, module: Task[Any], config: PretrainConfig, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.module = module.to(self.device)
        self.rank, self.ranks = 0, 1
        self.dtype = torch.float32  # autocast casts inside the module; inputs stay fp32
        compute_type = COMPUTE_TYPES[config.engine.precision]
        self._compute = None if compute_type is torch.float32 else compute_type
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self._compute is torch.float16)
        self._clip = config.optimizer.clip_norm
        self.optimizer = build_optimizer(module, config.optimizer, fused=self.device.type == "cuda")

    def forward(
        self,
        batch: Batch,
        step: StepContext,
        *,
        features: Rows | None = None,
        only_encode: bool = False,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> Any:  # see Engine.forward
        """Return the module's losses and metrics on a batch, or its features."""
        with torch.autocast(self.device.type, self._compute, enabled=self._compute is not None):
            return self.module(batch, step, features=features, only_encode=only_encode, gradients=gradients)

    def backward(self, loss: Tensor, last: bool = True) -> None:
        """Add the gradients of a loss; `last` has no effect in this engine."""
        self._scaler.scale(loss).backward()

    def loss_scale(self) -> float:
        """Return the factor that multiplies a loss before its gradients are computed; 1 except in fp16."""
        return self._scaler.get_scale()

    def step(self, learning_rate: float, momentum: float, done: int = 0) -> Tensor:
        """Do one optimiser step at this learning rate and first moment; return the gradient norm before clipping."""
        # Parameters of locked groups have no gradient: AdamW passes them over and makes no state for them.
        set_schedule(self.optimizer.param_groups, learning_rate, momentum, done)
        self._scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self._clip or float("inf"))
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def parameter_limits(self) -> dict[str, float]:
        """Return the task's limits: parameter's name → upper limit of its entries."""
        return self.module.parameter_limits()

    @torch.no_grad()
    def clamp_parameter(self, name: str, highest: float) -> None:
        """Clamp every entry of a parameter to at most `highest`."""
        dict(self.module.named_parameters())[name].clamp_(max=highest)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the whole module in fp32 on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.module.state_dict().items()}

    def save(self, folder: Path) -> None:
        """Write the state of module, optimiser and loss scaler into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {"module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"scaler": self._scaler.state_dict()}, folder / "plain.pt")

    def load(self, folder: Path, ranks: int) -> None:
        """Restore what `save` wrote. Raises InputError when DeepSpeed wrote the checkpoint."""
        if not (folder / "plain.pt").is_file():
            raise InputError(
                f"checkpoint {folder} was written by {ranks} DeepSpeed workers; resume it without --local"
            )
        state = torch.load(folder / "plain.pt", map_location=self.device, weights_only=True)
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
