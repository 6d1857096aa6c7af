"""A random stream for every customer and series: what is drawn for one does not depend on the others.

A draw is a function of the customer's id, the seed, and what is drawn: the path, the step. So it is the same
in any order, in blocks of any size, in numpy and in a compiled program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.ragged import id_codes

Streams = npt.NDArray[np.uint32]


def streams_of(ids: pl.Series, seed: int) -> Streams:
    """Return the stream of each customer or series, by id and seed."""
    return id_codes(ids) + np.uint32((seed * 0x9E3779B9) % 2**32)


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
    stream: Any, path: Any, step: Any, place: Any = 0, *, kind: npt.DTypeLike = np.float64
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return three independent numbers in [0, 1) for each stream, path and step.

    Paths at `places` share the draws of one path out among them: each one's numbers are uniform and
    independent, and those of all are a systematic sample, spread evenly over [0, 1).

    The arrays are unsigned 32-bit integers of numpy, or of JAX inside of a compiled program, which has but
    float32: the numbers are the same.
    """
    step, place = (np.full(1, n, dtype=np.uint32) if isinstance(n, int) else n for n in (step, place))
    drawn = _hashed(stream, path, step)
    # An odd multiple of its place gives each path another place: at each step they come in another order.
    parts = (drawn[k] + place * (drawn[k - 1] | np.uint32(1)) for k in range(3))
    return tuple((part >> np.uint32(8)).astype(kind) * 2.0**-24 for part in parts)


def places(number: IntArray, n: IntArray) -> Streams:
    """Return the places i / n of paths that share draws out, n a power of two, in 2³²ths.

    Examples
    --------
    >>> draws = uniforms(np.uint32([7]), np.uint32([0]), 1, places(np.arange(4), np.full(4, 4)))
    >>> [sorted((part * 4).astype(int).tolist()) for part in draws]
    [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]
    """
    return ((number << 32) // n).astype(np.uint32)
