"""The quantiles that networks of series are trained for, and others from them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np

from foretell.core import FloatArray

QUANTILES: Final = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
MIDDLE: Final = QUANTILES.index(0.5)


def at_levels(trained: FloatArray, quantiles: Sequence[float]) -> FloatArray:
    """Return the quantiles at other levels: between the trained ones by the normal distribution's scale.

    Examples
    --------
    >>> at_levels(np.arange(13.0), [0.5, 0.95]).tolist()
    [6.0, 11.0]
    """
    given = [NormalDist().inv_cdf(level) for level in QUANTILES]
    out = []
    for level in quantiles:
        if level in QUANTILES:
            out.append(trained[..., QUANTILES.index(level)])
            continue
        z = NormalDist().inv_cdf(level)
        k = int(np.clip(np.searchsorted(given, z), 1, len(given) - 1))
        share = (z - given[k - 1]) / (given[k] - given[k - 1])
        out.append(trained[..., k - 1] * (1.0 - share) + trained[..., k] * share)
    return np.stack(out, axis=-1)
