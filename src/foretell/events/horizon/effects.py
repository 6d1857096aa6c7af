"""What is known of customers moves how often they come and how soon they are lost, as far as the log shows.

A shop is a mixture of classes of customers (`foretell.events.horizon.rates`). What is known of a customer i
tilts the share of the classes by which it is described before its visits are looked at:

    w_i(rate, lost) ∝ w(rate, lost) · exp(u_i · log rate + v_i · log odds of being lost),
    u_i = β_u · z_i,  v_i = β_v · z_i

so that it counts for most with a customer of one visit, and its own visits outweigh it with time. β has a
normal prior about 0 whose width is learned for each column by itself: what tells nothing has no effect.
"""

from __future__ import annotations

import dataclasses
from typing import Final, Self

import numpy as np

from foretell.core import FloatArray, IntArray
from foretell.core.contracts import Described
from foretell.data.covariates import Covariates
from foretell.data.design import Design
from foretell.errors import DataError
from foretell.events.horizon.rates import (
    SCORES,
    STRENGTH,
    Histories,
    RateClasses,
    class_likelihoods,
    tilted,
    vague_shares,
)

_SAMPLE: Final = 12_000
WIDTH: Final = 2
"""Of a tilt: on the rate, and on the odds of being lost."""
_ROUNDS: Final = 30
_WIDE, _NARROW = 1e-2, 1e6  # precisions of a coefficient
_HALVES: Final = 6  # times that a step is halved that leads down


@dataclasses.dataclass(frozen=True)
class Effects:
    """What each column of a design does to the shares of the classes.

    Attributes
    ----------
    design : Design
    coefficients : array, shape (2, n_columns)
        On the rate, and on the odds of being lost.
    """

    design: Design
    coefficients: FloatArray

    def tilt(self, static: Covariates | None, n: int) -> FloatArray:
        """Return the tilt of each of n customers, shape (n, 2); 0 of whom nothing is known."""
        return np.zeros((n, WIDTH)) if static is None else self.parts(static).sum(axis=1)

    def parts(self, static: Covariates) -> FloatArray:
        """Return what each thing that is known has to do with the tilt, shape (n, n_names, 2)."""
        scaled = self.design.matrix(static)[:, :, None] * self.coefficients.T
        names = [name for name, _ in self.design.labels]
        parts = np.zeros((len(static), len(self.design.names), WIDTH))
        for k, name in enumerate(names):
            parts[:, self.design.names.index(name)] += scaled[:, k]
        return parts

    def describe(self) -> dict[str, object]:
        """Return what JSON keeps of it."""
        rate, lost = (part.tolist() for part in self.coefficients)
        return self.design.describe() | {"rate": rate, "lost": lost}

    @classmethod
    def from_description(cls, described: Described) -> Self:
        """Return the effects that `describe` described; refuse numbers that do not fit each other."""
        design = Design.from_description(described)
        parts = [np.array(described[name], dtype=np.float64) for name in ("rate", "lost")]
        if any(part.shape != (design.width,) or not np.isfinite(part).all() for part in parts):
            raise DataError("what is known of customers has effects of another shape than this version reads")
        return cls(design, np.stack(parts))


def fit_effects(histories: Histories, static: Covariates) -> tuple[RateClasses, Effects]:
    """Learn the shares of the classes, and what is known of customers does to them.

    The shares and the coefficients go to the mode of the posterior by turns: the shares by iterative scaling,
    the coefficients by steps of BHHH, the precision of their prior, one for each column of what is known and
    each of the two tilts, by MacKay's fixed point.

    References
    ----------
    Berndt, Hall, Hall, Hausman (1974), "Estimation and inference in nonlinear structural models".
    MacKay (1992), "Bayesian interpolation", Neural Computation 4(3).
    """
    design = Design.fit(static)
    columns = design.matrix(static)
    rates = RateClasses.fit(histories)
    coefficients = np.zeros((2, columns.shape[1]))
    if not columns.any():
        return rates, Effects(design, coefficients)
    if len(columns) > _SAMPLE:
        rows = np.random.default_rng(0).permutation(len(columns))[:_SAMPLE]
        histories, columns = histories.take(rows), columns[rows]
    likelihood = class_likelihoods(histories)
    names = [name for name, _ in design.labels]
    group = np.unique(names, return_inverse=True)[1]
    group = np.concatenate([group, group + group.max() + 1])
    start, weights = vague_shares(histories), rates.weights.ravel()
    precision = np.ones(len(group))
    before, after, height = _expected(weights, columns, coefficients, likelihood)
    for _ in range(_ROUNDS):
        surprise = (after - before) @ SCORES
        slopes = np.concatenate([surprise[:, k : k + 1] * columns for k in (0, 1)], axis=1)
        inverse = np.linalg.inv(slopes.T @ slopes + np.diag(precision))
        step = inverse @ (slopes.sum(axis=0) - precision * coefficients.ravel())
        height -= _penalty(precision, coefficients)
        for _ in range(_HALVES):
            there = coefficients + step.reshape(2, -1)
            tried = _expected(weights, columns, there, likelihood)
            if tried[2] - _penalty(precision, there) >= height:
                coefficients, (before, after, _) = there, tried
                break
            step = 0.5 * step
        precision = _precisions(group, coefficients.ravel(), np.diag(inverse), precision)
        weights = weights * (after.sum(axis=0) + STRENGTH * start) / (before.sum(axis=0) + STRENGTH * weights)
        weights /= weights.sum()
        before, after, height = _expected(weights, columns, coefficients, likelihood)
    return dataclasses.replace(rates, weights=weights.reshape(rates.weights.shape)), Effects(
        design, coefficients
    )


def _expected(
    weights: FloatArray, columns: FloatArray, coefficients: FloatArray, likelihood: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Return the chances of the classes before and after the visits are looked at, and the log-likelihood."""
    before = tilted(weights, columns @ coefficients.T)
    after = before * likelihood
    total = after.sum(axis=1, keepdims=True)
    return before, after / total, float(np.log(total).sum())


def _penalty(precision: FloatArray, coefficients: FloatArray) -> float:
    return 0.5 * float(precision @ coefficients.ravel() ** 2)


def _precisions(group: IntArray, values: FloatArray, variance: FloatArray, old: FloatArray) -> FloatArray:
    """Return the precision of each coefficient's prior, the same for all of a group."""
    n_groups = int(group.max()) + 1
    effective = np.bincount(group, 1.0 - old * variance, n_groups)
    squares = np.bincount(group, values**2, n_groups)
    precision: FloatArray = np.clip(np.maximum(effective, 1e-3) / np.maximum(squares, 1e-12), _WIDE, _NARROW)
    return precision[group]
