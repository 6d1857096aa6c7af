"""∫ (a + τ)^−p (b + τ)^−q dτ: the one integral of Pareto/NBD."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_NEGLIGIBLE = 36.0  # e^−36 of the integrand's start is below double precision


class PowerIntegral(NamedTuple):
    """The integral's logarithm, and means under the normalised integrand (its gradient).

    Attributes
    ----------
    log_value : array
        −inf over an empty range.
    mean_log_a, mean_log_b : array
        Means of log(a + τ) and log(b + τ).
    mean_inverse_a, mean_inverse_b : array
        Means of 1 / (a + τ) and 1 / (b + τ).
    """

    log_value: FloatArray
    mean_log_a: FloatArray
    mean_log_b: FloatArray
    mean_inverse_a: FloatArray
    mean_inverse_b: FloatArray


def power_integral(
    p: FloatArray, q: FloatArray | float, a: float, b: float, lower: FloatArray, upper: FloatArray
) -> PowerIntegral:
    """Integrate (a + τ)^−p (b + τ)^−q over lower ≤ τ ≤ upper, by Gauss-Legendre on log(min(a, b) + τ).

    On that scale the integrand varies smoothly whatever the scales a and b; the part in which it has fallen
    to nothing is cut off, so that large powers are resolved as well as small ones.

    Parameters
    ----------
    p, q : array or float
        Powers, above 0; at least one of p, q is 1 or more.
    a, b : float
        Above 0.
    lower, upper : array
        Range, 0 ≤ lower ≤ upper; broadcasts with p.
    """
    p, lower, upper = np.broadcast_arrays(p, lower, upper)
    shift = min(a, b)
    # One factor 1 / (shift + τ) is taken up by the scale.
    fall_a, fall_b = (p - 1, q) if a <= b else (p, np.asarray(q) - 1)
    span = np.minimum(
        np.log((shift + upper) / (shift + lower)),
        np.minimum(
            _span_until_negligible(fall_a, a, shift, lower), _span_until_negligible(fall_b, b, shift, lower)
        ),
    )
    position = span[..., None] * (1 + _NODES) / 2
    # τ − lower, exact also where it is small beside lower.
    passed = (shift + lower)[..., None] * np.expm1(position)
    log_a, log_b = np.log1p(passed / (a + lower)[..., None]), np.log1p(passed / (b + lower)[..., None])
    height = np.exp(position - p[..., None] * log_a - q * log_b) * _WEIGHTS
    total = height.sum(axis=-1)
    share = height / total[..., None]
    with np.errstate(divide="ignore"):
        log_value = (
            np.log(total * span / 2)
            + np.log(shift + lower) - p * np.log(a + lower) - q * np.log(b + lower)
        )  # fmt: skip
    tau = passed + lower[..., None]
    return PowerIntegral(
        log_value,
        (share * log_a).sum(axis=-1) + np.log(a + lower),
        (share * log_b).sum(axis=-1) + np.log(b + lower),
        (share / (a + tau)).sum(axis=-1),
        (share / (b + tau)).sum(axis=-1),
    )


def _span_until_negligible(
    fall: FloatArray | float, scale: float, shift: float, lower: FloatArray
) -> FloatArray:
    """Return how far, in log(shift + τ), until (scale + τ)^−fall alone is negligible."""
    steps = np.minimum(_NEGLIGIBLE / np.maximum(fall, 1e-3), 200.0)
    passed = (scale + lower) * np.expm1(steps)
    span: FloatArray = np.log1p(passed / (shift + lower))
    return span
