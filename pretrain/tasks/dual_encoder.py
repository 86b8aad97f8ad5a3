"""The task dual_encoder: two towers, the objectives that train them, and the suppliers of the objectives' targets."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pretrain.config import PretrainConfig
from pretrain.data.samples.batch import Batch
from pretrain.model_config import ImageTowerConfig, TowerTraining
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator
from pretrain.objectives import OBJECTIVES
from pretrain.objectives.inputs import Features, ObjectiveInputs
from pretrain.objectives.objective import LOGIT_BIAS
from pretrain.step_context import StepContext
from pretrain.supervision import SUPPLIERS
from pretrain.supervision.supplier import Supplier, SupplierInputs, SupplierSetting
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.tasks.task import ParameterGroup, Task

UNDECAYED = (
    "position_embedding",
    "cls_token",
    "bias_table",
    "mask_token",
    "register_tokens",
    "distillation_token",
    "probe",
    "logit_scale",
)
"""Parts of the names of parameters that have no weight decay, whatever their shape."""
INITIAL_LOGIT_BIAS = -10.0  # SigLIP's initial value: a batch holds far more negatives than pairs


class DualEncoderTask(Task[Features]):
    """Towers, heads and losses; the loss of a step is the weighted sum of the recipe's objectives."""

    config_class = DualEncoderConfig
    required_parts = ("dual_encoder",)

    def __init__(self, config: DualEncoderConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.objectives = config.objectives.chosen()
        self.image_config = config.model.image
        self.highest_logit_scale = config.model.log_max_logit_scale
        self.heads_from_step = config.heads_from_step
        self.dual_encoder = DualEncoder(config.model, vocabulary_size)
        self.tower_training = {
            "vision_model": config.model.image.train,
            "text_model": config.model.text.train,
        }
        for name, train in self.tower_training.items():
            self.dual_encoder.get_submodule(name).requires_grad_(train.from_step is not None)
        self._lock(0)
        needs_bias = any(
            LOGIT_BIAS in OBJECTIVES[name].needs_with(options) for name, options in self.objectives.items()
        )
        bias = self.dual_encoder.first_logit_bias
        first_bias = INITIAL_LOGIT_BIAS if bias is None else bias
        self.logit_bias = nn.Parameter(torch.tensor([first_bias])) if needs_bias else None
        self.region_generator = (
            RegionGenerator(
                config.model.projection_dim,
                self.dual_encoder.grid,
                config.supervision.regions,
                width=config.supervision.head_width,
                suppress_above=config.supervision.suppress_above,
                alone=config.supervision.head_alone,
            )
            if config.uses_regions
            else None
        )
        self.suppliers = nn.ModuleDict({name: _build_supplier(name, config) for name in config.suppliers})
        if config.engine.activation_checkpointing:
            for tower in (self.dual_encoder.vision_model, self.dual_encoder.text_model):
                tower.gradient_checkpointing_enable({"use_reentrant": False})
        if config.engine.compile:
            self.dual_encoder.vision_model.compile()
            self.dual_encoder.text_model.compile()

    @classmethod
    def build(cls, config: PretrainConfig, vocabulary_size: int) -> DualEncoderTask:
        """Build the module that a recipe describes, for a tokenizer of `vocabulary_size` pieces."""
        assert isinstance(config, DualEncoderConfig)
        return cls(config, vocabulary_size)

    @classmethod
    def part_of(cls, name: str) -> str:
        """Return the part of the tensor `name`: the dual encoder, a head, the logit bias, or one supplier."""
        first, _, rest = name.partition(".")
        return f"{first}.{rest.partition('.')[0]}" if first == "suppliers" else first

    def begin(self, step: StepContext) -> None:
        """Lock the towers that do not learn in this step."""
        self._lock(step.step)

    def encode(self, batch: Batch) -> Features:
        """Return both towers' embeddings and tokens of a batch; in training, image cells may be dropped at random."""
        pixels, keep = batch.pixel_values, None
        if self.training:
            keep = random_coalitions(len(batch), self.dual_encoder.cells, self.image_config, pixels)
        images, patches = self.dual_encoder.encode_image(pixels, keep)
        texts, words = self.dual_encoder.encode_text(batch.input_ids, batch.attention_mask)
        return Features(images, patches, texts, words, batch.attention_mask, whole=keep is None)

    def losses(self, features: Features, batch: Batch, step: StepContext) -> dict[str, Tensor]:
        """Return the losses and metrics of all objectives, the suppliers' metrics, and the weighted sum as `loss`."""
        targets: dict[str, object] = {}
        values: dict[str, Tensor] = {}
        supplier_inputs = SupplierInputs(self.dual_encoder, self.region_generator, features, batch)
        for number, name in enumerate(SUPPLIERS):
            if name in self.suppliers:
                supplied = self.suppliers[name](supplier_inputs, step.branch(number))
                targets[name] = supplied.targets
                values |= supplied.metrics
        inputs = ObjectiveInputs(features, self.dual_encoder.logit_scale, self.logit_bias, targets)
        total: Tensor | float = 0.0
        for name, options in self.objectives.items():
            losses = OBJECTIVES[name].loss(inputs, options)
            total = total + options.weight * losses[f"{name}_loss"]
            values |= losses
        return {"loss": torch.as_tensor(total), **values}

    def parameter_limits(self) -> dict[str, float]:
        """Limit the logarithm of the inverse temperature to that of the recipe's `model.max_logit_scale`."""
        return {"dual_encoder.logit_scale": self.highest_logit_scale}

    def parameter_groups(self, weight_decay: float, head_rate: float = 1.0) -> list[ParameterGroup]:
        """Group parameters: weight decay for matrices; none for biases, norms, position embeddings and temperature.

        `head_rate` multiplies the learning rate of the heads beside the towers; the factor of projections, temperature
        and logit bias is 1, that of a tower its `train.rate`. A tower that is locked for ever is in no group. Heads
        rest until their first targets: an optimiser that counts the steps before would make the first ones too long.
        """
        groups: dict[tuple[float, float, int], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            train = self.tower_training.get(
                name.removeprefix("dual_encoder.").partition(".")[0], TowerTraining()
            )
            if train.from_step is None:
                continue
            # Vectors count as such however they are laid out: ConvNeXt v2's norms are [1, 1, 1, W].
            is_vector = sum(side > 1 for side in parameter.shape) < 2
            exempt = is_vector or any(part in name for part in UNDECAYED)
            of_head = not name.startswith(("dual_encoder.", "logit_bias"))
            rate, from_step = (head_rate, self.heads_from_step) if of_head else (train.rate, train.from_step)
            groups.setdefault((rate, 0.0 if exempt else weight_decay, from_step), []).append(parameter)
        return [
            ParameterGroup(members, decay, rate, from_step)
            for (rate, decay, from_step), members in groups.items()
        ]

    def _lock(self, step: int) -> None:
        """Lock the towers that step number `step` leaves as they are."""
        self.dual_encoder.lock(
            image=self.tower_training["vision_model"].is_locked(step),
            text=self.tower_training["text_model"].is_locked(step),
        )


def random_coalitions(
    images: int, cells: int, config: ImageTowerConfig, like: Tensor
) -> Float[Tensor, "B C"] | None:
    """Return which cells each image keeps (1) or drops (0).

    Each image keeps all cells or, with probability `masked_share`, a random coalition of them. As in FLIP (Li et al.,
    2023), but dropped cells are zeroed instead of left out, as in the token game, so the encoder is trained on the
    inputs that the game gives it. Draws come from torch's global generator, which is seeded per micro-batch. Returns
    None when `masked_share` is 0.
    """
    if config.masked_share == 0:
        return None
    whole = torch.rand(images, 1, device=like.device) >= config.masked_share
    present = config.masked_least + (1 - config.masked_least) * torch.rand(images, 1, device=like.device)
    return (whole | (torch.rand(images, cells, device=like.device) < present)).to(like.dtype)


def _build_supplier(name: str, config: DualEncoderConfig) -> Supplier:
    """Build the supplier `name`, with the options of the recipe's objectives that need it."""
    options = {
        objective: options
        for objective, options in config.objectives.chosen().items()
        if name in OBJECTIVES[objective].needs_with(options)
    }
    return SUPPLIERS[name].build(
        SupplierSetting(
            config.supervision,
            options,
            dim=config.model.projection_dim,
            pairs=config.pairs_per_worker,
            max_tokens=config.max_tokens,
            first_step=config.start.step,
        )
    )
