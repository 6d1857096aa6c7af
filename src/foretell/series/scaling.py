"""The scale on which a network works: of each window by itself, or of its whole training series."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.prep.scalers import mean_deviation, median_range, min_max

Array = Any
FloatArray = npt.NDArray[np.float64]

_TINY = 1e-6


def window_scale(
    kind: str, values: Array, mask: Array, loc: Array, scale: Array, season: int = 1
) -> tuple[Array, Array]:
    """Return location and scale of windows, shape (batch, 1, n_targets) each.

    Parameters
    ----------
    kind : str
        See `foretell.series.windows.WindowConfig`.
    values, mask : array, shape (batch, L, n_targets)
        Histories only; 0 where missing.
    loc, scale : array, shape (batch, n_targets)
        Of the whole training series, for the kinds that use them.
    season : int
        Steps of a season, for the kind that uses it.
    """
    n = jnp.maximum(jnp.sum(mask, axis=1, keepdims=True), 1.0)
    mean = jnp.sum(values * mask, axis=1, keepdims=True) / n
    if kind == "window":
        variance = jnp.sum(((values - mean) * mask) ** 2, axis=1, keepdims=True) / n
        # The slope of a square root is infinite at 0: a constant window goes past it.
        spread = jnp.where(variance > 0.0, jnp.sqrt(jnp.where(variance > 0.0, variance, 1.0)), 0.0)
        return mean, _safe(spread, mean)
    if kind == "season":
        level = jnp.sum((values * mask)[:, -season:], axis=1, keepdims=True)
        level = level / jnp.maximum(jnp.sum(mask[:, -season:], axis=1, keepdims=True), 1.0)
        seen = jnp.sum(mask[:, -season:], axis=1, keepdims=True) > 0
        return jnp.where(seen, level, mean), _safe(mean_change(values, mask, season), mean)
    if kind == "last":
        last = last_observed(values, mask)
        return last, _safe(mean_change(values, mask, 1), last)
    if kind == "first":
        first = last_observed(values[:, ::-1], mask[:, ::-1])
        return first, _safe(jnp.abs(first), mean)
    return loc[:, None], scale[:, None]


def mean_change(values: Array, mask: Array, steps: int) -> Array:
    """Return the mean |y_t − y_{t−steps}| of each window, shape (batch, 1, n_targets)."""
    steps = min(steps, values.shape[1] - 1)
    if steps < 1:
        return jnp.zeros_like(values[:, :1])
    both = mask[:, steps:] * mask[:, :-steps]
    change = jnp.sum(jnp.abs(values[:, steps:] - values[:, :-steps]) * both, axis=1, keepdims=True)
    return change / jnp.maximum(jnp.sum(both, axis=1, keepdims=True), 1.0)


def last_observed(values: Array, mask: Array) -> Array:
    """Return the last observed value of each window, shape (batch, 1, n_targets)."""
    place = values.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1, keepdims=True)
    return jnp.take_along_axis(values, place, axis=1)


def _safe(scale: Array, location: Array) -> Array:
    """Return the scale, or a small part of the location where a window is constant."""
    least = jnp.maximum(1e-3 * jnp.abs(location), _TINY)
    return jnp.where(scale > 1e-4 * jnp.abs(location) + _TINY * _TINY, scale, least)


def series_scale(kind: str, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return location and scale of one series' observed values, shape (n_targets,) each.

    Where a target has no observed value, both are NaN: the panel's typical ones take their place.
    """
    seen = ~np.isnan(values).all(axis=0)
    loc, scale = (np.full(values.shape[1], np.nan) for _ in range(2))
    if not seen.any():
        return loc, scale
    given = values[:, seen]
    if seen.any():
        learn = {"minmax": min_max, "robust": median_range}.get(kind, mean_deviation)
        loc[seen], scale[seen] = (part[0] for part in learn(given))
    least = np.maximum(1e-3 * np.abs(loc), _TINY)
    return loc, np.where(scale > least * 0.1, scale, np.where(np.isnan(scale), np.nan, least))
