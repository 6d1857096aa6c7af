"""Whether a gain is more than chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t

# How sure one has to be of a gain.
_SURE = 0.95


def surely_positive(gains: npt.ArrayLike) -> bool:
    """Return whether gains of separate units (customers, series, folds) are above 0 by more than chance.

    A one-sided t test at 95 %; of a single unit nothing is known of chance.

    Examples
    --------
    >>> surely_positive([1.0, 1.2, 0.9, 1.1]), surely_positive([1.0, -1.2, 0.9, -0.1]), surely_positive([1.0])
    (True, False, False)
    """
    values = np.asarray(gains, dtype=np.float64)
    n = len(values)
    if n < 2:
        return False
    return bool(values.mean() > student_t.ppf(_SURE, n - 1) * values.std(ddof=1) / np.sqrt(n))
