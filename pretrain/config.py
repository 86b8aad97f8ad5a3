"""The sections of a pretraining recipe, and the part that all tasks share: typed, with a unit in each description."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.common.config import NO_EFFECT_ON_OUTPUT, Section
from pretrain.pixel_statistics import STANDARD, PixelStatistics


class DataConfig(Section):
    """Which samples are read, in which order, and how they are augmented."""

    batch_size: int = Field(512, ge=2, description="pairs per step, over all workers")
    accumulation: int = Field(
        1,
        ge=1,
        description="micro-batches per step; the loss equals that of the whole batch",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    shuffle_window: int = Field(
        16384, ge=1, description="samples shuffled together; shards are shuffled whole"
    )
    stream_buffer: int = Field(
        4096,
        ge=1,
        description="samples that a worker shuffles together where the data has no manifests; 1: none",
    )
    cache_gib: float = Field(
        20.0,
        gt=0,
        description="local copies of remote shards, GiB per machine",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    cache_folder: str | None = Field(
        None,
        description="folder of the local copies; null: in the system's folder for temporary files",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    decode_threads: int = Field(
        1,
        ge=1,
        description="background threads per worker that decode images",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    prefetch: int = Field(
        4, ge=1, description="batches that a worker prepares ahead", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    crop_scale: tuple[float, float] = Field(
        (0.5, 1.0), description="area share of the random resized crop; 1,1: none"
    )
    crop_ratio: tuple[float, float] = Field(
        (0.75, 1.3333), description="aspect ratio range of the random crop"
    )
    flip: bool = Field(
        False, description="mirror half of the images whose captions do not contain left or right"
    )
    phrase_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of captions replaced by one of their phrases, for short zero-shot prompts; 0: none",
    )
    max_phrases: int = Field(
        8, ge=0, description="slots for phrases per caption; further phrases are left out"
    )
    max_bad_fraction: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of unreadable samples that ends the run",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )

    @model_validator(mode="after")
    def check_ranges(self) -> DataConfig:
        """Raise ValueError when `crop_scale` is no range of shares, or `accumulation` does not divide the batch."""
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_scale is {list(self.crop_scale)}; give two shares 0 < low <= high <= 1")
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"accumulation is {self.accumulation}; it must divide batch_size {self.batch_size}"
            )
        return self


class OptimizerConfig(Section):
    """AdamW under OneCycle with cycled momentum (paper, Table 5)."""

    learning_rate: float = Field(2e-4, gt=0, description="peak learning rate")
    betas: tuple[float, float] = Field((0.9, 0.999), description="AdamW moments; OneCycle moves the first")
    weight_decay: float = Field(
        0.01, ge=0, description="decoupled weight decay; biases, norms, temperature: none"
    )
    head_rate: float = Field(
        1.0, gt=0, description="learning rate of the proxy heads, as a multiple of the towers'"
    )
    warmup_fraction: float = Field(0.1, gt=0, lt=1, description="share of all steps in which the rate rises")
    decay_fraction: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of all steps, the last ones, in which the rate falls; it stays at its peak before; null: it "
        "falls from the peak on",
    )
    start_divisor: float = Field(25.0, gt=1, description="peak over first learning rate")
    final_divisor: float = Field(1e4, gt=1, description="first over last learning rate")
    momentum_range: tuple[float, float] = Field((0.85, 0.95), description="lowest and highest first moment")
    clip_norm: float = Field(1.0, ge=0, description="largest gradient norm; 0: unclipped")

    @model_validator(mode="after")
    def check_fractions(self) -> Self:
        """Raise ValueError where the rate would have to fall while it rises."""
        decay = self.decay_fraction
        if decay is not None and decay + self.warmup_fraction > 1:
            raise ValueError(
                f"decay_fraction is {decay} and warmup_fraction {self.warmup_fraction}; allowed are at most 1 together;"
                f" set decay_fraction to at most {1 - self.warmup_fraction:g}"
            )
        return self


class EngineConfig(Section):
    """Sharding, precision and compilation."""

    zero_stage: int = Field(
        0,
        ge=0,
        le=3,
        description="ZeRO: 0 none, 1 optimiser, 2 gradients, 3 parameters",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    whole_below: int = Field(
        100_000,
        ge=2,
        description="ZeRO 3: parameters of fewer entries stay whole on every worker",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field("bf16", description="compute type; weights stay fp32")
    activation_checkpointing: bool = Field(
        False, description="recompute activations in the backward pass", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    compile: bool = Field(
        False, description="torch.compile both towers", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )


class ScheduleConfig(Section):
    """Length of a run, and when it logs and saves."""

    epochs: float | None = Field(20, gt=0, description="passes over the data; give either epochs or steps")
    steps: int | None = Field(None, ge=1, description="optimiser steps; overrides epochs")
    log_every: int = Field(
        10, ge=1, description="steps between two lines of the log", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    checkpoint_every: int = Field(
        1000, ge=1, description="steps between two checkpoints", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    checkpoint_minutes: float | None = Field(
        None,
        gt=0,
        description="minutes after the last checkpoint when another is due; null: only by steps",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    keep_checkpoints: int = Field(
        2, ge=1, description="newest checkpoints that are kept", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    keep_steps: tuple[int, ...] = Field(
        (),
        description="steps after which a checkpoint is written and never deleted: other runs can start there",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    log_keys: bool = Field(
        False,
        description="write the keys of every batch to RUN/keys/, to audit the order",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )
    profile: bool = Field(
        False,
        description="trace steps 5 to 10 of this start to RUN/profile/",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )

    def saves(self, done: int) -> bool:
        """Return whether a checkpoint is due after `done` steps; `checkpoint_minutes` may add others."""
        return done % self.checkpoint_every == 0 or done in self.keep_steps


class StartConfig(Section):
    """Initial weights: random, or those of an earlier run's checkpoint; the run is then a branch of that run."""

    weights: str | None = Field(
        None,
        description="local path of a run (its newest checkpoint) or of one checkpoint; null: random weights",
    )
    step: int = Field(
        0,
        ge=0,
        description="steps that count as done, whatever checkpoint the weights are of: position in the data and in the "
        "learning rate schedule",
    )

    @model_validator(mode="after")
    def check_weights(self) -> StartConfig:
        """Raise ValueError when `step` is above 0 without `weights`."""
        if self.step and self.weights is None:
            raise ValueError(
                f"start.step is {self.step} without start.weights; set start.weights to the checkpoint of that step"
            )
        return self


class WorkersConfig(Section):
    """Worker processes of Ray Train."""

    count: int = Field(1, ge=1, description="worker processes, one per GPU; the most, if `minimum` is given")
    minimum: int | None = Field(
        None,
        ge=1,
        description="fewest workers with which a run continues when machines are lost; null: exactly `count`",
    )
    gpu: bool = Field(False, description="one GPU per worker (nccl); otherwise CPU (gloo)")
    cpus_per_worker: float = Field(1, gt=0, description="CPU cores that Ray sets aside for a worker")
    max_failures: int = Field(3, ge=0, description="restarts from the last checkpoint after a worker's death")


class PretrainConfig(Section):
    """The part of a pretraining recipe that all tasks share; the recipe class of a task adds its own sections."""

    name: str = Field(
        "unnamed", description="shown in reports and model cards", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    task: str = Field("dual_encoder", description="kind of training, as pretrain.tasks.TASKS lists them")
    seed: int = Field(0, ge=0, description="weights, sample order and augmentation follow from it")
    tokenizer: str = Field(
        "loupe", description="`loupe`: the shipped vocabulary; else a local path or hub name"
    )
    start: StartConfig = StartConfig()
    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    engine: EngineConfig = EngineConfig()
    workers: WorkersConfig = Field(WorkersConfig(), json_schema_extra=NO_EFFECT_ON_OUTPUT)

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Side of the images that the model takes, px."""

    @property
    @abstractmethod
    def max_tokens(self) -> int:
        """Longest caption that the model takes, tokens."""

    @property
    def pixel_statistics(self) -> PixelStatistics:
        """Mean and deviation of the pixels that the model takes."""
        return STANDARD

    @property
    def resample(self) -> str:
        """The filter that resizes images: a name of `PIL.Image.Resampling`, in small letters."""
        return "bicubic"

    def with_published_inputs(self, earlier: PretrainConfig | None = None) -> Self:
        """Return the recipe with how inputs are made, where it leaves that to published parts.

        `earlier` is the recipe of the run that goes on: it keeps its own.
        """
        return self

    def check_published_parts(self) -> None:
        """Raise InputError when published parts do not fit the recipe."""

    def published_parts(self) -> dict[str, tuple[str, str]]:
        """Return the parts with published weights: name → (local path or hub name, the recipe's key)."""
        return {}

    def with_published_parts(self, folders: Mapping[str, str]) -> Self:
        """Return the recipe with other folders in place of published parts, by name."""
        return self

    @property
    def objectives_with_phrases(self) -> tuple[str, ...]:
        """Names of the recipe's objectives that are undefined on captions without phrases."""
        return ()

    @model_validator(mode="after")
    def check_workers_and_length(self) -> Self:
        """Raise ValueError when workers cannot share the batch, engine settings conflict, or the run has no length."""
        workers = self.workers
        if workers.minimum is not None and workers.minimum > workers.count:
            raise ValueError(
                f"workers.minimum is {workers.minimum}; allowed are 1 to workers.count = {workers.count}"
            )
        for count in {workers.count, *range(workers.minimum or workers.count, workers.count)}:
            divisor = count * self.data.accumulation
            if self.data.batch_size % divisor:
                worker_counts = "workers.count" if workers.minimum is None else "every number of workers"
                raise ValueError(
                    f"data.batch_size is {self.data.batch_size}; it must be a multiple of "
                    f"{worker_counts} × data.accumulation = {divisor}"
                )
        if self.engine.zero_stage == 3 and self.engine.compile:
            raise ValueError(
                "engine.compile is true with engine.zero_stage 3; ZeRO 3 fetches parameters by hooks that a compiled "
                "tower does not run; set engine.compile=false, or engine.zero_stage to 2 or less"
            )
        if self.schedule.steps is None and self.schedule.epochs is None:
            raise ValueError("schedule has neither steps nor epochs; set one of them")
        return self

    def with_workers(self, count: int) -> Self:
        """Return the same recipe for `count` workers. Raises ValueError when they cannot share the batch equally."""
        changed = self.workers.model_copy(update={"count": count, "minimum": None})
        return type(self).model_validate(self.model_dump() | {"workers": changed.model_dump()})

    @property
    def per_worker_batch(self) -> int:
        """Pairs of one worker in one micro-batch."""
        return self.data.batch_size // (self.workers.count * self.data.accumulation)
