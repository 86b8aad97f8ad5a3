"""DeepSpeed behind the few calls that the loop needs. The only file that imports deepspeed."""

from __future__ import annotations

import argparse
import io
import os
import shutil
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

if "DS_ACCELERATOR" not in os.environ and not __import__("torch").cuda.is_available():
    os.environ["DS_ACCELERATOR"] = "cpu"

import deepspeed
import torch
import torch.distributed as dist
from deepspeed.checkpoint import ds_to_universal
from deepspeed.utils import safe_get_full_fp32_param, safe_set_full_fp32_param
from safetensors.torch import load_file
from torch import Tensor, nn

from data_filters.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext
from pretrain.tasks.task import Rows, Task
from pretrain.training.engine import optimizer_groups, set_schedule

# Without this DeepSpeed compiles an all-reduce of its own for ranks on one CPU machine at its first start: 100 s, and
# a compiler needed. gloo does the same work.
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def deepspeed_settings(config: PretrainConfig) -> dict[str, Any]:
    """DeepSpeed's own configuration for a recipe."""
    settings: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": config.per_worker_batch,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.optimizer.clip_norm,
        "zero_optimization": {
            "stage": config.engine.zero_stage,
            "stage3_param_persistence_threshold": config.engine.whole_below,
            # Stage 1 would overlap only what the last micro-batch touches, and leave the heads' gradients unreduced.
            "overlap_comm": config.workers.gpu
            and not (config.engine.zero_stage == 1 and config.data.accumulation > 1),
        },
        "zero_allow_untested_optimizer": True,
        "wall_clock_breakdown": False,
        "steps_per_print": 10**9,
    }
    if config.engine.precision != "fp32":
        settings[config.engine.precision] = {"enabled": True}
    return settings


class DeepSpeedEngine:
    """A sharded module, its optimiser and their checkpoints, over the process group that is already there."""

    # Any: the task's features, whose type the engine does not know.
    def __init__(self, module: Task[Any], config: PretrainConfig) -> None:
        optimizer = torch.optim.AdamW(
            optimizer_groups(
                module.parameter_groups(config.optimizer.weight_decay, config.optimizer.head_rate)
            ),
            lr=config.optimizer.learning_rate,
            betas=config.optimizer.betas,
        )
        self.engine, *_ = deepspeed.initialize(
            model=module, optimizer=optimizer, config=deepspeed_settings(config), dist_init_required=False
        )
        self.module = module
        self.device = torch.device(self.engine.device)
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[
            config.engine.precision
        ]

    def forward(
        self,
        batch: Batch,
        step: StepContext,
        *,
        features: Rows | None = None,
        only_encode: bool = False,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> Any:  # see Engine.forward
        """The module's losses and metrics on a batch of this rank, or its features."""
        return self.engine(batch, step, features=features, only_encode=only_encode, gradients=gradients)

    def backward(self, loss: Tensor, last: bool = True) -> None:
        """Add the gradients of a loss; ranks agree on them by the `last` of a step."""
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss)

    def loss_scale(self) -> float:
        """The factor by which a loss is multiplied before its gradients are computed (fp16)."""
        one = torch.ones((), device=self.device, requires_grad=True).clone()
        return float(self.engine.optimizer.scale_if_loss(one)) if self.dtype == torch.float16 else 1.0

    def step(self, learning_rate: float, momentum: float) -> Tensor:
        """One optimiser step at the given rate and first moment; returns the gradient norm before clipping."""
        set_schedule(self.engine.optimizer.param_groups, learning_rate, momentum)
        norm = None
        if not self.engine.zero_optimization() and self.dtype == torch.float32:  # DeepSpeed keeps none here
            gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
            norm = nn.utils.get_total_norm(gradients)
        self.engine.step()
        norm = self.engine.get_global_grad_norm() if norm is None else norm
        return torch.as_tensor(norm, dtype=torch.float32, device=self.device)

    def parameter_limits(self) -> dict[str, float]:
        """Parameter's name → the value that its entries are held at or below, as the task says."""
        return self.module.parameter_limits()

    @torch.no_grad()
    def clamp_parameter(self, name: str, highest: float) -> None:
        """Hold every entry of a parameter at or below `highest`, in the optimiser's own fp32 copy too."""
        parameter = dict(self.module.named_parameters())[name]
        full = safe_get_full_fp32_param(parameter)
        if full is None:
            parameter.clamp_(max=highest)
        elif bool((full > highest).any()):
            safe_set_full_fp32_param(parameter, full.clamp(max=highest))
            if not hasattr(parameter, "ds_id"):
                parameter.clamp_(max=highest)

    def weights(self) -> dict[str, Tensor]:
        """The whole module in fp32 on rank 0 (empty elsewhere). Every rank must call it."""
        found: dict[str, Tensor] = {}
        for name, parameter in self.module.named_parameters():
            full = safe_get_full_fp32_param(parameter)
            value = parameter.detach() if full is None else full
            if self.rank == 0:
                found[name] = value.float().cpu().clone().view(_shape(parameter))
        if self.rank == 0:
            known = dict(self.module.named_parameters())
            found |= {
                k: v.cpu().clone()
                for k, v in self.module.state_dict().items()
                if k not in known and k not in found
            }
        return found

    def save(self, folder: Path) -> None:
        """Sharded module and optimiser state into `folder`. Every rank must call it."""
        self.engine.save_checkpoint(str(folder), tag="engine", save_latest=False)

    def load(self, folder: Path, ranks: int) -> None:
        """Restore what `save` wrote on `ranks` ranks; on another number by way of a universal checkpoint.

        Raises InputError when the folder holds no state of this engine. Every rank must call it.
        """
        if not (folder / "engine").is_dir():
            raise InputError(
                f"checkpoint {folder} holds no DeepSpeed state; resume with --local, or delete that folder"
            )
        stage = self.engine.zero_optimization_stage()
        if stage == 0 or ranks == self.ranks:
            self.engine.load_checkpoint(str(folder), tag="engine")
            return
        if self.rank == 0:
            write_universal(folder)
        dist.barrier()
        own = [(group["weight_decay"], group["rate"]) for group in self.engine.optimizer.param_groups]
        self.engine._config.load_universal_checkpoint = True
        self.engine.load_checkpoint(str(folder), tag=UNIVERSAL)
        self.engine._config.load_universal_checkpoint = False
        # Stage 3 gives every group the settings of the first one, and all parameters one count of steps to share,
        # which each of them would then raise. Buffers are not in a universal checkpoint.
        for moments in self.engine.basic_optimizer.state.values():
            if isinstance(moments.get("step"), Tensor):
                moments["step"] = moments["step"].clone()
        for group, (decay, rate) in zip(self.engine.optimizer.param_groups, own, strict=True):
            group["weight_decay"], group["rate"] = decay, rate
        whole = load_file(folder / "model.safetensors")
        for name, buffer in self.module.named_buffers():
            if name in whole:
                buffer.copy_(whole[name])


UNIVERSAL = "universal"


def write_universal(checkpoint: Path, processes: int = 1) -> Path:
    """Make a sharded checkpoint loadable on any number of ranks: `universal` beside its shards, whole or absent.

    One fp32 file a parameter and optimiser moment ("Universal Checkpointing", Lian et al. 2024). Nothing to do at
    ZeRO stage 0, where every rank has everything, and where it was done before.
    """
    final, partial = checkpoint / UNIVERSAL, checkpoint / f".{UNIVERSAL}.partial"
    if final.is_dir():
        return final
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    settings = argparse.Namespace(
        input_folder=str(checkpoint / "engine"),
        output_folder=str(partial),
        num_extract_workers=processes,
        num_merge_workers=processes,
        keep_temp_folder=False,
        strict=True,
        inject_missing_state=True,
    )
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        ds_to_universal.main(settings)
    (checkpoint / "latest_universal").unlink(missing_ok=True)  # we name the folder ourselves
    partial.rename(final)
    return final


def _shape(parameter: Tensor) -> torch.Size:
    """A ZeRO-3 parameter's shape when whole."""
    return getattr(parameter, "ds_shape", parameter.shape)
