"""The engine that shards a module with DeepSpeed. The only file that imports deepspeed."""

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
from deepspeed.utils import groups, safe_get_full_fp32_param, safe_set_full_fp32_param
from safetensors.torch import load_file
from torch import Tensor, nn

from data_filters.errors import InputError
from pipelines.common.files import read_json, write_json
from pretrain.config import PretrainConfig
from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext
from pretrain.tasks.task import Rows, Task
from pretrain.training.engine import COMPUTE_TYPES, build_optimizer, is_locked, set_schedule

# Without this, DeepSpeed compiles its own all-reduce for ranks on one CPU machine at its first start. That takes 100 s
# and needs a compiler; gloo does the same work.
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


# Any: DeepSpeed takes its configuration as JSON values.
def deepspeed_settings(config: PretrainConfig) -> dict[str, Any]:
    """Return DeepSpeed's configuration for a recipe."""
    settings: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": config.per_worker_batch,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.optimizer.clip_norm,
        "zero_optimization": {
            "stage": config.engine.zero_stage,
            "stage3_param_persistence_threshold": config.engine.whole_below,
            # With accumulation, overlapping at stage 1 would reduce only what the last backward pass touches and leave
            # the gradients of the heads unreduced.
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
    """An `Engine` with a sharded module and optimiser, in a process group that must exist already."""

    # Any: the engine does not know the type of the task's features.
    def __init__(self, module: Task[Any], config: PretrainConfig) -> None:
        # DeepSpeed keeps parameters without gradient in the compute type alone; these are their fp32 values (rank 0).
        self._frozen = (
            {
                name: parameter.detach().float().cpu().clone()
                for name, parameter in module.named_parameters()
                if not parameter.requires_grad
            }
            if dist.get_rank() == 0
            else {}
        )
        optimizer = build_optimizer(module, config.optimizer)
        # Stage 0 in bf16 and fp16 does a step on gradients of zero here, to make the optimiser's state. At a rate of 0
        # it decays no weights; without its state, which torch makes again, it does not count as a step of Adam.
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # `step` sets each group's rate
        self.engine, *_ = deepspeed.initialize(
            model=module, optimizer=optimizer, config=deepspeed_settings(config), dist_init_required=False
        )
        optimizer.state.clear()
        self.module = module
        self.device = torch.device(self.engine.device)
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self.dtype = COMPUTE_TYPES[config.engine.precision]

    def forward(
        self,
        batch: Batch,
        step: StepContext,
        *,
        features: Rows | None = None,
        only_encode: bool = False,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> Any:  # see Engine.forward
        """Return the module's losses and metrics on a batch of this rank, or its features."""
        return self.engine(batch, step, features=features, only_encode=only_encode, gradients=gradients)

    def backward(self, loss: Tensor, last: bool = True) -> None:
        """Add the gradients of a loss; with the `last` backward pass of a step they are averaged over ranks."""
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss)

    def loss_scale(self) -> float:
        """Return the factor that multiplies a loss before its gradients are computed; 1 except in fp16."""
        unit_loss = torch.ones((), device=self.device, requires_grad=True).clone()
        return float(self.engine.optimizer.scale_if_loss(unit_loss)) if self.dtype == torch.float16 else 1.0

    def step(self, learning_rate: float, momentum: float, done: int = 0) -> Tensor:
        """Do one optimiser step at this learning rate and first moment; return the gradient norm before clipping."""
        set_schedule(self.engine.optimizer.param_groups, learning_rate, momentum, done)
        norm = None
        if (
            not self.engine.zero_optimization() and self.dtype == torch.float32
        ):  # DeepSpeed computes no norm here
            gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
            norm = nn.utils.get_total_norm(gradients)
        self.engine.step()
        self._forget_locked_steps(done)
        norm = self.engine.get_global_grad_norm() if norm is None else norm
        return torch.as_tensor(norm, dtype=torch.float32, device=self.device)

    def _forget_locked_steps(self, done: int) -> None:
        """Set AdamW's counters of locked groups to 0: DeepSpeed gave these groups gradients of zero."""
        optimizer = self.engine.basic_optimizer
        for group in optimizer.param_groups:
            if is_locked(group, done):
                for parameter in group["params"]:
                    counter = optimizer.state.get(parameter, {}).get("step")
                    if isinstance(counter, Tensor):
                        counter.zero_()

    def close(self) -> None:
        """Let go of the process group, whose threads end only when nothing holds it. The engine is of no use then.

        The module's hooks and a traceback may outlive this call and hold DeepSpeed's objects, so these are emptied.
        """
        engine = self.engine
        engine.destroy()
        for parameter in self.module.parameters():
            vars(parameter).clear()
        offload = getattr(engine.optimizer, "parameter_offload", None)  # ZeRO 3 has one
        for holder in (offload, engine.optimizer, engine):
            if holder is not None:
                vars(holder).clear()
        del self.engine
        groups._release_process_group_references()

    def parameter_limits(self) -> dict[str, float]:
        """Return the task's limits: parameter's name → upper limit of its entries."""
        return self.module.parameter_limits()

    @torch.no_grad()
    def clamp_parameter(self, name: str, highest: float) -> None:
        """Clamp every entry of a parameter to at most `highest`, in the optimiser's fp32 copy too."""
        parameter = dict(self.module.named_parameters())[name]
        full = safe_get_full_fp32_param(parameter)
        if full is None:
            parameter.clamp_(max=highest)
        elif bool((full > highest).any()):
            safe_set_full_fp32_param(parameter, full.clamp(max=highest))
            if not hasattr(parameter, "ds_id"):
                parameter.clamp_(max=highest)

    def weights(self) -> dict[str, Tensor]:
        """Return the whole module in fp32 on rank 0's CPU (empty on other ranks). Every rank must call it."""
        weights: dict[str, Tensor] = {}
        for name, parameter in self.module.named_parameters():
            if not parameter.requires_grad:
                continue
            full = safe_get_full_fp32_param(parameter)
            value = parameter.detach() if full is None else full
            if self.rank == 0:
                weights[name] = value.float().cpu().clone().view(_shape(parameter))
        if self.rank == 0:
            weights |= {name: value.clone() for name, value in self._frozen.items()}
            parameters = dict(self.module.named_parameters())
            weights |= {
                k: v.cpu().clone()
                for k, v in self.module.state_dict().items()
                if k not in parameters and k not in weights
            }
        return weights

    def save(self, folder: Path) -> None:
        """Write the sharded state of module and optimiser into `folder`. Every rank must call it."""
        self.engine.save_checkpoint(str(folder), tag="engine", save_latest=False)
        if self.rank == 0:
            write_json(folder / LAYOUT, {"zero_stage": self.engine.zero_optimization_stage()})

    def load(self, folder: Path, ranks: int) -> None:
        """Restore what `save` wrote on `ranks` ranks.

        On another number of ranks, or when stages 1 and 2 change places, a universal checkpoint is made of it first.
        Raises InputError when the folder holds no state of this engine, or one of a ZeRO stage with other files. Every
        rank must call it.
        """
        if not (folder / "engine").is_dir():
            raise InputError(
                f"checkpoint {folder} holds no DeepSpeed state; resume with --local, or delete that folder"
            )
        stage = self.engine.zero_optimization_stage()
        layout = read_json(
            folder / LAYOUT
        )  # older checkpoints have none: their stage was part of a run's identity
        written = stage if layout is None else int(layout["zero_stage"])
        if written != stage and {written, stage} != {1, 2}:
            raise InputError(
                f"checkpoint {folder} was written with engine.zero_stage {written}, this run has {stage}; allowed is "
                f"that stage 1 becomes 2 or 2 becomes 1; set engine.zero_stage={written} to resume it"
            )
        if written == stage and (stage == 0 or ranks == self.ranks):
            self.engine.load_checkpoint(str(folder), tag="engine")
            self._load_frozen(folder)
            return
        if self.rank == 0:
            write_universal(folder)
        dist.barrier()
        group_settings = [
            {name: group[name] for name in ("weight_decay", "rate", "from_step")}
            for group in self.engine.optimizer.param_groups
        ]
        self.engine._config.load_universal_checkpoint = True
        self.engine.load_checkpoint(str(folder), tag=UNIVERSAL)
        self.engine._config.load_universal_checkpoint = False
        # Stage 3 loads the settings of the first group into every group, and lets all parameters share one step
        # counter, which each of them would then increase. A universal checkpoint holds no buffers.
        for moments in self.engine.basic_optimizer.state.values():
            if isinstance(moments.get("step"), Tensor):
                moments["step"] = moments["step"].clone()
        for group, settings in zip(self.engine.optimizer.param_groups, group_settings, strict=True):
            group.update(settings)
        weights = load_file(folder / "model.safetensors")
        for name, buffer in self.module.named_buffers():
            if name in weights:
                buffer.copy_(weights[name])
        self._load_frozen(folder)

    @torch.no_grad()
    def _load_frozen(self, folder: Path) -> None:
        """Load the parameters without gradient from the fp32 weights of a checkpoint."""
        frozen = {name: p for name, p in self.module.named_parameters() if not p.requires_grad}
        if not frozen:
            return
        weights = load_file(folder / "model.safetensors")
        for name, parameter in frozen.items():
            parameter.copy_(weights[name])
            if self.rank == 0:
                self._frozen[name] = weights[name].float()


UNIVERSAL = "universal"
LAYOUT = "layout.json"


def write_universal(checkpoint: Path, processes: int = 1) -> Path:
    """Convert a sharded checkpoint so that any number of ranks can load it; return the folder `universal` in it.

    The folder holds one fp32 file per parameter and optimiser moment ("Universal Checkpointing", Lian et al. 2024) and
    is either complete or absent; when it exists, nothing is done. Checkpoints of ZeRO stage 0 need no conversion,
    because every rank holds the whole state.
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
    (checkpoint / "latest_universal").unlink(missing_ok=True)  # `load` names the folder itself
    partial.rename(final)
    return final


def _shape(parameter: Tensor) -> torch.Size:
    """Return the shape of the whole parameter, which ZeRO 3 keeps apart from its shard."""
    return getattr(parameter, "ds_shape", parameter.shape)
