"""What an evaluation task is, and what the runner hands it.

A task has typed options, measures an export on data, sums up what it measured as numbers, and may write examples. The
runner (`runner.py`) opens the export, takes the time and writes `metrics.json`; `tasks/__init__.py` lists the tasks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar

from pipelines.common.config import output_settings
from pretrain.evaluation.data.iteration import Item, Progress, with_progress
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.token_encoder import TokenEncoder

Options = TypeVar("Options", bound=EvaluationOptions)
Measured = TypeVar("Measured")
Metrics = dict[str, Any]
"""JSON values by name, as `metrics.json` holds them: their shapes differ from task to task, hence Any."""


@dataclass(frozen=True)
class Evaluation(Generic[Options]):
    """One run of a task: the export and what it was opened as, the URI of the data, the checked options.

    `output` is the folder for results, or None where none are written. `skipped` counts by reason the samples that
    were not evaluated; the task fills it.
    """

    export: str
    data: str
    options: Options
    opened: object
    output: str | None = None
    progress: Progress | None = None
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def encoder(self) -> ExportedEncoder:
        """The dual encoder, which a task opens unless it says otherwise (`EvaluationTask.open`)."""
        assert isinstance(self.opened, ExportedEncoder)
        return self.opened

    @property
    def token_encoder(self) -> TokenEncoder:
        """The encoder of a task that said `needs_tokens`."""
        assert isinstance(self.opened, TokenEncoder)
        return self.opened

    def gallery(self, items: Iterable[Item]) -> Iterator[Item]:
        """The first `options.gallery` items, or all; progress is reported after each.

        At the end of data that have fewer, the difference is counted (`count_shortage`).
        """
        done = 0
        for done, item in enumerate(with_progress(items, self.progress, self.options.gallery), 1):  # noqa: B007
            yield item
        self.count_shortage(done)

    def quiet_gallery(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items as `gallery`, for a first look at them: nothing is reported or counted."""
        return islice(items, self.options.gallery)

    def count_shortage(self, images: int) -> None:
        """Count as skipped (`short_of_gallery`) what `options.gallery` asks for beyond the data's `images`."""
        if self.options.gallery is not None and images < self.options.gallery:
            self.skipped["short_of_gallery"] += self.options.gallery - images

    def report(self, done: int, total: int | None) -> None:
        """Report that `done` images of `total` (None: unknown) have been evaluated."""
        if self.progress is not None:
            self.progress(done, total)


class EvaluationTask(ABC, Generic[Options, Measured]):
    """One kind of evaluation. `Measured` is whatever `measure` hands to `summary` and `write_examples`."""

    options: type[Options]
    """The model of the task's options."""
    columns: ClassVar[Mapping[str, str]] = {}
    """Metric, by its dotted path in `metrics.json` → title of its column in an ablation's table."""
    headlines: ClassVar[Mapping[str, str]] = {}
    """Name on the console → metric by its dotted path; those that a result lacks are left out."""
    chief: ClassVar[str | None] = None
    """The metric at the top of a report, the greater the better; None where no single one stands for the task."""
    directions: ClassVar[Mapping[str, str]] = {}
    """Direction of a retrieval (an entry of `metrics.json` that holds its recalls) → its name in a report."""
    counts: ClassVar[Mapping[str, str]] = {"images": "images"}
    """Whole number in `metrics.json` → title of its column in a report."""
    remark: ClassVar[str] = ""
    """A sentence under the task's table: what its numbers are."""
    recorded_as: ClassVar[Mapping[str, str]] = {}
    """Option → its name in `metrics.json`, where that is not the option's own; several options may share one."""
    fitted: ClassVar[Collection[str]] = ()
    """Numbers in `metrics.json` that the evaluation chose, such as a regularisation: they are no scores."""

    def needs_tokens(self, options: Options) -> bool:
        """Whether the export is opened as a `TokenEncoder`, with patch tokens and masked images."""
        return False

    def open(self, export: str, options: Options) -> object:
        """Open the export as the task uses it: here as a dual encoder. Raises InputError when it cannot be opened."""
        kind = TokenEncoder if self.needs_tokens(options) else ExportedEncoder
        return kind(export, options.device)

    def settings(self, evaluation: Evaluation[Options]) -> Metrics:
        """The settings that decide the numbers, as JSON values; they are recorded in the metrics.

        An output folder holds results of one set of settings. By default these are all options except those that the
        model marks as without effect on results. An override has the same names (`setting_names`).
        """
        settings = output_settings(evaluation.options)
        return {self.recorded_as.get(name, name): value for name, value in settings.items()}

    def setting_names(self) -> list[str]:
        """Names of the entries of `metrics.json` that can hold a setting, each once."""
        return list(dict.fromkeys(self.recorded_as.get(name, name) for name in self.options.model_fields))

    def check_data(self, data: str, options: Options) -> None:
        """Raise InputError where data and options cannot go together, as far as that shows without a model or pixels.

        An ablation asks before it trains for hours; `measure` finds out the rest.
        """
        return

    @abstractmethod
    def measure(self, evaluation: Evaluation[Options]) -> Measured:
        """Go through the data. Raises InputError where they do not suffice."""

    @abstractmethod
    def summary(self, evaluation: Evaluation[Options], measured: Measured) -> Metrics:
        """The numbers, as JSON values; fractions from 0 to 1."""

    def write_examples(self, evaluation: Evaluation[Options], measured: Measured, output: str) -> None:
        """Write examples, or other files beside the metrics, into the folder `output`."""
        return


def number_at(metrics: Mapping[str, Any], path: str) -> float | None:
    """The number at a dotted path (`image_to_text.R@1`; a name may hold dots itself), or None."""
    if path in metrics:
        value = metrics[path]
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    head, dot, rest = path.partition(".")
    below = metrics.get(head)
    return number_at(below, rest) if dot and isinstance(below, Mapping) else None
