"""Covariates as numbers for a network: standardised, or one column per category; learned in training."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from foretell.data.panel import Covariates
from foretell.errors import DataError

FloatArray = npt.NDArray[np.float64]


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

    @property
    def width(self) -> int:
        """Number of columns that come out."""
        return sum(len(self.categories[name]) if name in self.categories else 1 for name in self.names)

    def encode(self, covariates: Covariates) -> FloatArray:
        """Return the coded columns, shape (n_rows, width); missing and unknown ones are 0."""
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
            column = values[:, k]
            if name in self.categories:
                codes = np.arange(len(self.categories[name]))
                columns.append((column[:, None] == codes).astype(float))
            else:
                scaled = (column - self.mean[k]) / self.deviation[k]
                columns.append(np.nan_to_num(scaled, nan=0.0)[:, None])
        return np.concatenate(columns, axis=1)
