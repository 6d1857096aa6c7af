"""Covariates as numbers, and which of those that are known ahead are not given."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from foretell.core import BoolArray, FloatArray
from foretell.core.contracts import Described
from foretell.core.journal import warn
from foretell.core.ragged import flat_ranges
from foretell.data.covariates import Covariates
from foretell.data.panel import Panel
from foretell.data.state import refuse
from foretell.errors import CovariateWarning, DataError

AS_USUAL: Final = "the forecast is averaged over the values that the series has had"


@dataclasses.dataclass(frozen=True)
class CovariateCode:
    """How columns become numbers.

    Attributes
    ----------
    names : tuple of str
    mean, deviation : tuple of float
        Of the numeric columns; 0 and 1 for categories.
    categories : dict of tuples
        Of the categorical columns; any other value has 0 in all their columns.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    categories: dict[str, tuple[str, ...]]

    @classmethod
    def fit(cls, covariates: Covariates) -> CovariateCode:
        """Learn from the training period."""
        mean, deviation = [], []
        for k, name in enumerate(covariates.names):
            given = covariates.values[:, k][~np.isnan(covariates.values[:, k])]
            numeric = name not in covariates.categories and len(given) > 0
            mean.append(float(given.mean()) if numeric else 0.0)
            spread = float(given.std()) if numeric else 1.0
            deviation.append(spread if spread > 1e-12 else 1.0)
        return cls(covariates.names, tuple(mean), tuple(deviation), dict(covariates.categories))

    @classmethod
    def from_description(cls, kept: Described) -> CovariateCode:
        """Return the code that JSON describes."""
        categories = {name: tuple(map(str, known)) for name, known in kept["categories"].items()}
        code = cls(tuple(kept["names"]), tuple(kept["mean"]), tuple(kept["deviation"]), categories)
        spread = np.array(code.deviation, dtype=np.float64)
        numbers = np.array(code.mean, dtype=np.float64)
        wrong = not numbers.shape == spread.shape == (len(code.names),)
        refuse(
            "code of the covariates",
            {"other numbers": wrong or not np.isfinite(numbers).all() or (spread <= 0).any()},
        )
        return code

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return sum(len(self.categories[name]) if name in self.categories else 1 for name in self.names)

    def encode(self, covariates: Covariates) -> FloatArray:
        """Return the coded columns, shape (n_rows, width); missing and unknown ones are 0."""
        return np.nan_to_num(self.encode_known(covariates), nan=0.0)

    def encode_known(self, covariates: Covariates) -> FloatArray:
        """Return the coded columns, shape (n_rows, width); missing and unknown ones are NaN."""
        if covariates.names != self.names:
            raise DataError(
                f"the panel has covariates {list(covariates.names)}; the model was fitted with "
                f"{list(self.names)}: read the same columns"
            )
        if not self.names:
            return np.zeros((len(covariates.values), 0))
        values = covariates.recoded(self.categories).values
        columns = []
        for k, name in enumerate(self.names):
            column = values[:, k, None]
            if name in self.categories:
                codes = np.arange(len(self.categories[name]))
                columns.append(np.where(np.isnan(column), np.nan, column == codes))
            else:
                columns.append((column - self.mean[k]) / self.deviation[k])
        return np.concatenate(columns, axis=1)


def known_ahead(panel: Panel, horizon: int) -> Covariates:
    """Return the future covariates of the steps ahead, ``horizon`` rows a series; NaN where not given."""
    width = len(panel.future.names)
    known = np.full((panel.n_series, horizon, width), np.nan)
    n_ahead = np.diff(panel.ahead_offsets)
    used = np.minimum(n_ahead, horizon)
    place = np.repeat(np.arange(panel.n_series), used), flat_ranges(np.zeros_like(used), used)
    known[place] = panel.ahead.values[flat_ranges(panel.ahead_offsets[:-1], used)]
    return dataclasses.replace(panel.ahead, values=known.reshape(panel.n_series * horizon, width))


def not_given(panel: Panel, horizon: int) -> BoolArray:
    """Return which future covariates of the steps ahead are not known, shape (n_series, horizon, n_columns).

    Examples
    --------
    >>> panel = Panel.from_arrays([[1.0, 2.0]], future={"promo": [[0, 1, 1]]})
    >>> not_given(panel, 2)[0, :, 0].tolist()
    [False, True]
    """
    missing: BoolArray = np.isnan(known_ahead(panel, horizon).values)
    return missing.reshape(panel.n_series, horizon, len(panel.future.names))


def say_what_is_not_given(panel: Panel, steps: int, instead: str) -> None:
    """Warn where future covariates that are read are not known for steps that are forecast."""
    missing = not_given(panel, steps)
    if not missing.any():
        return
    names = [
        name
        for name, any_ in zip(panel.future.names, np.asarray(missing.any(axis=(0, 1))), strict=True)
        if any_
    ]
    lacking = int(missing.any(axis=2).sum())
    warn(
        f"{', '.join(names)}: not known ahead for {lacking:,} of {missing[..., 0].size:,} steps that are "
        f"forecast, where {instead}; give the rows after the end of each series, with empty targets",
        CovariateWarning,
        stacklevel=3,
    )
