"""Maximum likelihood for models with a handful of positive parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.optimize

FloatArray = npt.NDArray[np.float64]

# Takes positive parameters; returns each row's log-likelihood and its gradient, (n_parameters, n_rows).
LogLikelihood = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

_BOUND = 9.0  # on |log parameter|, on a time scale of the typical age: beyond it the surface is flat


class Optimum(NamedTuple):
    """Where a likelihood is highest."""

    params: FloatArray
    log_likelihood: float


def maximise(function: LogLikelihood, starts: tuple[tuple[float, ...], ...], weights: FloatArray) -> Optimum:
    """Maximise a weighted log-likelihood over positive parameters.

    Parameters
    ----------
    function : callable
        From parameters to the rows' log-likelihoods and their gradients.
    starts : tuple of tuple of float
        Where to begin; the best end counts.
    weights : array, shape (n_rows,)
        How many customers each row stands for.
    """
    total = weights.sum()

    def objective(log_params: FloatArray) -> tuple[float, FloatArray]:
        params = np.exp(log_params)
        rows, gradient = function(params)
        return -float(weights @ rows) / total, -(gradient @ weights) * params / total

    ends = [
        scipy.optimize.minimize(
            objective,
            np.log(start),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-_BOUND, _BOUND)] * len(start),
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-7, "maxcor": 20},
        )
        for start in starts
    ]
    best = min(ends, key=lambda end: float(end.fun))
    return Optimum(np.exp(best.x), -float(best.fun) * float(total))
