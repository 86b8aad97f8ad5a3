"""The sections of a pretraining recipe, and the part that all tasks share: typed, with a unit in each description."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.common.config import NO_EFFECT_ON_OUTPUT, Section
from pretrain.pixel_statistics import STANDARD, Channels, PixelStatistics


class ImageTowerConfig(Section):
    """Image tower; random weights unless `pretrained` names a checkpoint."""

    kind: Literal["swin", "vit"] = Field("swin", description="architecture, from transformers")
    pretrained: str | None = Field(
        None, description="local path or hub name; its shape replaces the fields below"
    )
    image_size: int = Field(224, ge=16, description="input height and width, px")
    patch_size: int = Field(4, ge=1, description="side of an input patch, px")
    width: int = Field(96, ge=8, description="channels of the first stage (swin) or of every layer (vit)")
    depths: tuple[int, ...] = Field((2, 2, 6, 2), description="layers per stage; a vit has one number")
    heads: tuple[int, ...] = Field((3, 6, 12, 24), description="attention heads per stage")
    window: int = Field(7, ge=1, description="swin attention window, patches")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden over input width of the feed-forward layers")
    drop_path: float = Field(0.1, ge=0, lt=1, description="stochastic depth rate (swin)")
    pixel_mean: Channels = Field(
        STANDARD.mean,
        description="mean of each channel as a share of the largest byte; left out: that of the published tower",
    )
    pixel_std: Channels = Field(
        STANDARD.std, description="standard deviation of each channel, as `pixel_mean`"
    )
    resample: Literal["bicubic", "bilinear", "lanczos", "nearest", "box", "hamming"] = Field(
        "bicubic", description="filter that resizes images; left out: that of the published tower"
    )
    masked_share: float = Field(
        0.0, ge=0, le=1, description="share of training images of which random cells are dropped"
    )
    masked_least: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="smallest share of cells that such an image keeps; its share is uniform from this to 1",
    )

    @model_validator(mode="after")
    def check_shape(self) -> ImageTowerConfig:
        """Raise ValueError when stages, heads, width, image size and patch size do not fit each other."""
        if len(self.depths) != len(self.heads):
            raise ValueError(
                f"heads has {len(self.heads)} stages, depths has {len(self.depths)}; give one per stage"
            )
        if self.kind == "vit" and len(self.depths) != 1:
            raise ValueError(f"depths is {list(self.depths)}; a vit has one stage, for example [12]")
        if not (min(self.pixel_std) > 0 and all(map(math.isfinite, (*self.pixel_mean, *self.pixel_std)))):
            raise ValueError(
                f"pixel_mean is {list(self.pixel_mean)}, pixel_std {list(self.pixel_std)}; allowed are three finite "
                "numbers each, deviations above 0"
            )
        cell = self.cell_size
        if self.image_size % cell:
            raise ValueError(
                f"image_size is {self.image_size}; allowed are multiples of {cell} (patch_size × merging)"
            )
        for stage, heads in enumerate(self.heads):
            if (self.width * 2**stage) % heads:
                raise ValueError(
                    f"heads is {heads} in stage {stage}; it must divide the width {self.width * 2**stage}"
                )
        return self

    @property
    def pixel_statistics(self) -> PixelStatistics:
        """Mean and deviation of the pixels that the tower takes."""
        return PixelStatistics(self.pixel_mean, self.pixel_std)

    @property
    def cell_size(self) -> int:
        """Side of one cell of the last map, px."""
        return self.patch_size * (2 ** (len(self.depths) - 1) if self.kind == "swin" else 1)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the last map; its cells are the image players of the token game."""
        side = self.image_size // self.cell_size
        return side, side


class TextTowerConfig(Section):
    """BERT of any size; random weights unless `pretrained` names a checkpoint."""

    pretrained: str | None = Field(
        None, description="local path or hub name; its shape replaces the fields below"
    )
    width: int = Field(512, ge=8, description="hidden size")
    layers: int = Field(4, ge=1, description="number of layers")
    heads: int = Field(8, ge=1, description="attention heads")
    feed_forward: int = Field(2048, ge=8, description="hidden width of the feed-forward layers")
    max_tokens: int = Field(60, ge=4, le=512, description="caption length limit, tokens with [CLS] and [SEP]")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of hidden states and attention")

    @model_validator(mode="after")
    def check_heads(self) -> TextTowerConfig:
        """Raise ValueError when the heads do not divide the width."""
        if self.width % self.heads:
            raise ValueError(f"heads is {self.heads}; it must divide width {self.width}")
        return self


class ModelConfig(Section):
    """The dual encoder: both towers, the shared embedding space and the temperature."""

    image: ImageTowerConfig = ImageTowerConfig()
    text: TextTowerConfig = TextTowerConfig()
    projection_dim: int = Field(512, ge=1, description="width of the shared embedding space")
    temperature: float = Field(0.07, gt=0, description="initial softmax temperature")
    max_logit_scale: float = Field(
        100.0, gt=0, description="largest inverse temperature; the step clamps to it"
    )

    @property
    def log_max_logit_scale(self) -> float:
        """Largest logarithm of the inverse temperature."""
        return math.log(self.max_logit_scale)


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
    start_divisor: float = Field(25.0, gt=1, description="peak over first learning rate")
    final_divisor: float = Field(1e4, gt=1, description="first over last learning rate")
    momentum_range: tuple[float, float] = Field((0.85, 0.95), description="lowest and highest first moment")
    clip_norm: float = Field(1.0, ge=0, description="largest gradient norm; 0: unclipped")


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

    def with_published_pixels(self, earlier: PretrainConfig | None = None) -> Self:
        """Return the recipe with how pixels are made, where it leaves that to a published tower.

        `earlier` is the recipe of the run that goes on: it keeps its pixels.
        """
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
