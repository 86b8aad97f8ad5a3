"""The options that evaluations share: which images, how many at once, on which device, how many examples."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import AfterValidator, ConfigDict, Field, field_validator

# Options of the tasks import `one_of` from here.
from pipelines.common.config import NO_EFFECT_ON_OUTPUT, Section
from pipelines.common.config import one_of as one_of


class EvaluationOptions(Section):
    """Options that every evaluation has. A task's own options extend them."""

    model_config = ConfigDict(allow_inf_nan=False)

    gallery: int | None = Field(None, ge=1, description="number of images, the first of the data; null: all")
    batch_size: int = Field(
        64, ge=1, description="images per forward pass", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    device: str | None = Field(
        None,
        description="cpu, cuda or cuda:N; null: cuda where the machine has it, else cpu",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )

    @field_validator("*", mode="before")
    @classmethod
    def refuse_booleans(cls, value: object) -> object:
        """No option is a switch: true for a number would be read as 1."""
        if isinstance(value, bool):
            raise ValueError("true and false are no value of this option")
        return value


class ExampleOptions(EvaluationOptions):
    """Options of an evaluation that writes examples with pictures."""

    examples: int = Field(
        8,
        ge=0,
        description="number of examples with pictures, evenly spaced over the data; 0: none",
        json_schema_extra=NO_EFFECT_ON_OUTPUT,
    )


def accepted_by(check: Callable[[str | tuple[str, ...]], object]) -> AfterValidator:
    """A check that `check` raises no ValueError for the value, which stays as it is."""

    def accept(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        check(value)
        return value

    return AfterValidator(accept)
