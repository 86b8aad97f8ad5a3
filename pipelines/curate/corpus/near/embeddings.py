"""Embeddings as sums of them come out exact, and so equal on every machine: rounded to float16."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.curate.corpus.near.mixing import Bits, mix

Half = npt.NDArray[np.float16]
"""`[rows, dim]`. Products of two are multiples of 2^-48: with norms about 1, float64 adds them without rounding."""


def embeddings_of(column: pa.ChunkedArray) -> tuple[Half, npt.NDArray[np.bool_]]:
    """`float16[rows, dim]` of a column fixed_size_list<float16 or float32>, and which rows have a direction.

    A row has none where the embedding is missing, not finite or zero; its values are zero then.
    """
    dim = column.type.list_size
    array = column.combine_chunks()
    valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
    values = np.zeros((len(array), dim), dtype=np.float16)
    with np.errstate(over="ignore"):
        values[valid] = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim).astype(np.float16)
    valid = valid & np.isfinite(values).all(axis=1) & values.any(axis=1)
    values[~valid] = 0
    return values, valid


def unit(embeddings: Half) -> npt.NDArray[np.float32]:
    """The embeddings at norm 1, each value off by 2^-23 of it at most."""
    wide = embeddings.astype(np.float32)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    result: npt.NDArray[np.float32] = np.divide(wide, np.where(norms > 0, norms, 1), dtype=np.float32)
    return result


def cosines(one: Half, other: Half) -> npt.NDArray[np.float64]:
    """The cosine of each row of `one` with the same row of `other`, exact sums."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    dots = np.einsum("ij,ij->i", a, b)
    return dots / np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b))


def content_hashes(embeddings: Half) -> Bits:
    """A 64-bit hash of each row's bytes."""
    rows, dim = embeddings.shape
    padded = np.zeros((rows, -(-dim // 4) * 4), dtype="<f2")
    padded[:, :dim] = embeddings
    hashes = np.zeros(rows, dtype=np.uint64)
    for word in padded.view("<u8").T:
        hashes = mix(hashes ^ word)
    return hashes
