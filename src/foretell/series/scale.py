"""Location and scale, decided in one place: of whole series in float64, of windows in compiled programs."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.data.panel import Panel
from foretell.nn.backend import Array
from foretell.prep.scalers import mean_deviation, median_range, min_max

# What floats can tell apart, relative to the size of a number: below it nothing varies.
_RESOLUTION, _RESOLUTION_OF_WINDOWS = 1e-14, 1e-6
# So many equal values say that a series is constant; fewer say next to nothing of how it varies.
_ENOUGH = 10


@dataclasses.dataclass(frozen=True)
class Units:
    """The units in which a network counts each series: from its own median, in its own deviations.

    Whatever the level of a series, its values are of order 1 in them, where float32 is as good as float64.
    A scale of 0 says that a series is constant: so is then what is forecast.

    Attributes
    ----------
    loc, scale : float64 array, shape (n_series, n_targets)
    log : bool
        Of log(1 + y).
    """

    loc: FloatArray
    scale: FloatArray
    log: bool = False

    @classmethod
    def of(cls, panel: Panel, typical: FloatArray, *, log: bool, about_zero: bool = False) -> Units:
        """Return the units of a panel's series.

        Parameters
        ----------
        panel : Panel
        typical : array, shape (2, n_targets)
            Location and scale of what a series has no value of. In proportion to its level it is the scale of
            a series whose few values are equal, too.
        log : bool
        about_zero : bool
            Count from 0 on, for a network that reads relative changes.
        """
        values = np.log1p(panel.values) if log else panel.values
        owner = panel.owner
        loc, counts = _by_series(owner, values, "median")
        if about_zero:
            loc = np.where(np.isnan(loc), loc, 0.0)
        deviation = np.abs(values - loc[owner])
        size = np.nan_to_num(_by_series(owner, np.abs(values), "max")[0])
        scale = np.nan_to_num(_by_series(owner, deviation, "median")[0])
        mean = np.nan_to_num(_by_series(owner, deviation, "mean")[0])
        # More than half of its values are equal: those that are not say how it varies.
        scale = np.where(scale > _RESOLUTION * size, scale, mean)
        in_proportion = typical[1] * size / np.hypot(*typical)
        scale = np.where(scale > _RESOLUTION * size, scale, np.where(counts < _ENOUGH, in_proportion, 0.0))
        known = counts > 0
        return cls(np.where(known, loc, typical[0]), np.where(known, scale, typical[1]), log)

    @property
    def divisor(self) -> FloatArray:
        """The scale, 1 of a constant series."""
        return np.where(self.scale > 0, self.scale, 1.0)

    def into(self, values: FloatArray, owner: IntArray) -> FloatArray:
        """Return values of a panel in these units."""
        values = np.log1p(values) if self.log else values
        counted: FloatArray = (values - self.loc[owner]) / self.divisor[owner]
        return counted

    def back(self, counted: FloatArray) -> FloatArray:
        """Return values, shape (n_series, n_steps, n_targets, …), of what was counted in these units."""
        shape = (len(self.loc), 1, self.loc.shape[1]) + (1,) * (counted.ndim - 3)
        values = counted * self.scale.reshape(shape) + self.loc.reshape(shape)
        return np.expm1(values) if self.log else values


def _by_series(owner: IntArray, values: FloatArray, what: str) -> tuple[FloatArray, IntArray]:
    """Return a statistic of each series' observed values, NaN without any, and how many there are."""
    names = [f"{k}" for k in range(values.shape[1])]
    frame = pl.DataFrame(dict(zip(names, values.T, strict=True))).fill_nan(None)
    groups = frame.with_columns(pl.Series("owner", owner)).group_by("owner", maintain_order=True)
    found = groups.agg(*(getattr(pl.col(name), what)() for name in names))
    counts = groups.agg(*(pl.col(name).count() for name in names))
    statistic = found.select(pl.col(names).fill_null(np.nan)).to_numpy().astype(np.float64)
    return statistic, counts.select(names).to_numpy().astype(np.int64)


def series_scale(kind: str, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return location and scale of one series' observed values, shape (n_targets,) each.

    NaN is what they do not say: the panel's typical ones take its place.
    """
    seen = ~np.isnan(values).all(axis=0)
    loc, scale = (np.full(values.shape[1], np.nan) for _ in range(2))
    if seen.any():
        learn = {"minmax": min_max, "robust": median_range}.get(kind, mean_deviation)
        loc[seen], scale[seen] = (part[0] for part in learn(values[:, seen]))
    size = np.nanmax(np.abs(np.where(seen, values, 0.0)), axis=0, initial=0.0)
    return loc, np.where(scale > _RESOLUTION * size, scale, np.nan)


def window_scale(
    kind: str, values: Array, mask: Array, last: Array, whole: tuple[Array, Array], season: int = 1
) -> tuple[Array, Array]:
    """Return location and scale of windows, shape (batch, 1, n_targets) each.

    What a window does not say is taken from its series: the last value before, and the series' own scale.

    Parameters
    ----------
    kind : str
        See `foretell.series.windows.WindowConfig`.
    values, mask : array, shape (batch, L, n_targets)
        Histories only, in units of their series; 0 where missing.
    last : array, shape (batch, n_targets)
        The last value that was observed before the windows' end.
    whole : pair of array, shape (batch, n_targets)
        Location and scale of the whole training series, for the kinds that use them.
    season : int
        Steps of a season, for the kind that uses it.
    """
    if kind not in {"window", "season", "last", "first"}:
        return whole[0][:, None], whole[1][:, None]
    n = jnp.sum(mask, axis=1, keepdims=True)
    mean = jnp.sum(values * mask, axis=1, keepdims=True) / jnp.maximum(n, 1.0)
    if kind == "window":
        loc, variance = mean, jnp.sum(((values - mean) * mask) ** 2, axis=1, keepdims=True)
        variance = variance / jnp.maximum(n, 1.0)
        # The slope of a square root is infinite at 0: a constant window goes past it.
        scale = jnp.where(variance > 0.0, jnp.sqrt(jnp.where(variance > 0.0, variance, 1.0)), 0.0)
    elif kind == "season":
        seen = jnp.sum(mask[:, -season:], axis=1, keepdims=True)
        level = jnp.sum((values * mask)[:, -season:], axis=1, keepdims=True) / jnp.maximum(seen, 1.0)
        loc, scale = jnp.where(seen > 0, level, mean), mean_change(values, mask, season)
    elif kind == "last":
        loc, scale = last_observed(values, mask), mean_change(values, mask, 1)
    else:
        loc = last_observed(values[:, ::-1], mask[:, ::-1])
        scale = jnp.abs(loc)
    loc = jnp.where(n > 0, loc, last[:, None])
    return loc, jnp.where(scale > _RESOLUTION_OF_WINDOWS * (1.0 + jnp.abs(loc)), scale, 1.0)


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
