"""A random stream for every customer and series: what is drawn for one does not depend on the others.

A draw is a function of the customer's id, the seed, and what is drawn: the path, the step. So it is the same
in any order, in blocks of any size, in numpy and in a compiled program.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray

Streams = npt.NDArray[np.uint32]


def streams_of(ids: pl.Series, seed: int) -> Streams:
    """Return the stream of each customer or series, by id and seed."""
    codes = [zlib.crc32(name.encode()) for name in ids.cast(pl.String).fill_null("").to_list()]
    shift = (seed * 0x9E3779B9) % 2**32
    return np.array(codes, dtype=np.uint32) + np.uint32(shift)


def _hashed(x: Any, y: Any, z: Any) -> tuple[Any, Any, Any]:
    """Return three hashes of three unsigned 32-bit integers, of numpy's or JAX's arrays.

    References
    ----------
    Jarzynski & Olano (2020), "Hash functions for GPU rendering", Journal of Computer Graphics Techniques
    9(3): pcg3d.
    """
    x, y, z = (part * np.uint32(1664525) + np.uint32(1013904223) for part in (x, y, z))
    x = x + y * z
    y = y + z * x
    z = z + x * y
    x, y, z = (part ^ (part >> np.uint32(16)) for part in (x, y, z))
    x = x + y * z
    y = y + z * x
    return x, y, z + x * y


def uniforms(
    stream: Any, path: Any, step: Any, kind: npt.DTypeLike = np.float64
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return three independent numbers in [0, 1) for each stream, path and step.

    The arrays are unsigned 32-bit integers of numpy, or of JAX inside of a compiled program, which has but
    float32: the numbers are the same.
    """
    step = np.full(1, step, dtype=np.uint32) if isinstance(step, int) else step
    parts = _hashed(stream, path, step)
    return tuple((part >> np.uint32(8)).astype(kind) * 2.0**-24 for part in parts)
