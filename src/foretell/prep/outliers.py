"""Removal of outliers by the quartiles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.core import BoolArray, FloatArray
from foretell.core.constraints import Number, check
from foretell.errors import ParameterError


class WithoutOutliers(NamedTuple):
    """Values without their outliers.

    Attributes
    ----------
    values : array, shape (n_kept,)
        Those that are left, in their order.
    kept : bool array, shape (n,)
        Which are left: to take the same rows of other arrays.
    n_removed : int
    low, high : float
        Bounds, inclusive, to apply to new values too.
    """

    values: FloatArray
    kept: BoolArray
    n_removed: int
    low: float
    high: float


def remove_outliers(values: npt.ArrayLike, factor: float = 1.5) -> WithoutOutliers:
    """Remove values further than 1.5 interquartile ranges below the first or above the third quartile.

    Gaps between visits are skewed: among them the rule removes long ones only, of customers who really came
    so seldom. Look at ``n_removed`` before you do without them.

    Parameters
    ----------
    values : array-like, shape (n,)
        NaN is kept out of the quartiles and removed.
    factor : float
        Interquartile ranges.

    Returns
    -------
    WithoutOutliers
        ``values``, ``kept``, ``n_removed``, ``low``, ``high``.

    References
    ----------
    Tukey (1977), "Exploratory Data Analysis".

    Examples
    --------
    >>> import foretell as ft
    >>> cleaned = ft.prep.remove_outliers([7, 6, 8, 7, 95, 7, 9])
    >>> cleaned.values, cleaned.n_removed
    (array([7., 6., 8., 7., 7., 9.]), 1)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or np.isnan(array).all():
        raise ParameterError(
            f"values is of shape {array.shape} with {int((~np.isnan(array)).sum())} numbers; expected one "
            "axis with at least one number"
        )
    check("factor", factor, Number(0.0))
    first, third = np.nanquantile(array, [0.25, 0.75])
    low, high = first - factor * (third - first), third + factor * (third - first)
    kept = (array >= low) & (array <= high)
    return WithoutOutliers(array[kept], kept, int((~kept).sum()), float(low), float(high))
