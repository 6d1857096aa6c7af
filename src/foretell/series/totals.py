"""Sums of series and of steps, with intervals: paths of all series together, added up from the bottom."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from foretell.core import FloatArray
from foretell.core.constraints import as_levels, as_names
from foretell.data.panel import Panel
from foretell.errors import ParameterError
from foretell.nn.streams import streams_of
from foretell.series.prior_forecast import prior_quantiles
from foretell.series.quantiles import QUANTILES, means
from foretell.series.support import Support

if TYPE_CHECKING:
    from foretell.series.forecaster import SeriesForecaster

_NORMAL: Final = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
_PATHS: Final = 1000
_BLOCK: Final = 64  # series whose paths are drawn at once
_FARTHEST = 3.0  # standard deviations
# Horizons at the end that are forecast once more, of so many series, to see how errors go together; what is
# taken for usual before, and so many series and horizons it is worth.
_MOST_FOLDS, _HELD_BACK, _MOST_SERIES = 4, 0.25, 300
_USUAL_STEPS, _WORTH_STEPS = 0.7, 10.0
_USUAL_SERIES, _WORTH_SERIES = 0.1, 2.0
_SPAN: Final = 4096  # steps by which series may end apart and still err together


class Forecaster(NamedTuple):
    """Whose totals are asked for.

    Attributes
    ----------
    panel : Panel
    quantiles : callable
        Of a panel, steps and levels: quantiles, shape (n_series, h, n_targets, n_quantiles).
    support : Support
    name : str
    seed : int
    """

    panel: Panel
    quantiles: Callable[[Panel, int, Sequence[float]], FloatArray]
    support: Support
    name: str
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Dependence:
    """How the errors of a panel's forecasts go together, on the normal scale.

    Attributes
    ----------
    steps : float
        Correlation of the errors of a series at neighbouring steps; farther apart it is a power of that.
    series : float
        Correlation of the errors of two series at the same step.
    """

    steps: float
    series: float

    @classmethod
    def of(cls, panel: Panel, h: int) -> Dependence:
        """Look at how the prior would have erred in the last horizons of a panel."""
        chosen = np.random.default_rng(0).permutation(panel.n_series)[:_MOST_SERIES]
        panel = panel.take(np.sort(chosen))
        folds = int(np.clip(_HELD_BACK * np.median(panel.lengths) // h, 0, _MOST_FOLDS))
        misses = [_misses(panel, h, back) for back in range(folds, 0, -1)]
        return cls.fit(np.concatenate(misses) if misses else np.full((1, 1, h), np.nan))

    @classmethod
    def fit(cls, misses: FloatArray) -> Dependence:
        """Find the correlations of errors, shape (n_folds, n_series, h), NaN where nothing was observed.

        Examples
        --------
        >>> shared = np.random.default_rng(0).normal(size=(60, 1, 8)) + np.zeros((1, 20, 1))
        >>> found = Dependence.fit(shared)
        >>> found.steps < 0.2, found.series > 0.9
        (True, True)
        """
        known = ~np.isnan(misses)
        z = np.where(known, misses, 0.0)
        variance = (z**2).sum() / max(known.sum(), 1) or 1.0
        h = misses.shape[2]
        whole = known.all(axis=2)
        powers = np.linspace(0.0, 0.99, 100)
        lags = np.arange(1, h)
        of_mean = (h + 2.0 * (powers[:, None] ** lags) @ (h - lags)) / h**2
        usual = of_mean[int(np.abs(powers - _USUAL_STEPS).argmin())]
        seen = (z.mean(axis=2)[whole] ** 2).sum() / variance
        found = (seen + _WORTH_STEPS * usual) / (whole.sum() + _WORTH_STEPS)
        steps = float(powers[int(np.abs(of_mean - found).argmin())])
        n = known.sum(axis=1)
        pairs = float((n * (n - 1)).sum())
        products = (z.sum(axis=1) ** 2 - (z**2).sum(axis=1)).sum() / variance
        weight = float((n > 1).any(axis=1).sum())
        together = products / pairs if pairs else 0.0
        series = (weight * together + _WORTH_SERIES * _USUAL_SERIES) / (weight + _WORTH_SERIES)
        return cls(steps, float(np.clip(series, 0.0, 0.99)))


def predict_totals(
    model: Forecaster,
    h: int,
    by: str | Sequence[str] | None = None,
    levels: Sequence[float] = (80,),
    ids: Collection[object] | None = None,
) -> pl.DataFrame:
    """Return totals of many series and steps; see `SeriesForecaster.predict_totals`."""
    levels, panel = as_levels(levels), model.panel
    keys = list(as_names(() if by is None else by, "by"))
    known = ("step", "series", *panel.static.names)
    if not set(keys) <= set(known):
        raise ParameterError(f"by={by!r}; expected None, or some of {', '.join(known)}")
    dependence = Dependence.of(panel, h)
    if ids is not None:
        panel = panel.select(ids)
    owners = pl.DataFrame(
        {key: panel.ids if key == "series" else panel.static.column(key) for key in keys if key != "step"}
        or {"all": np.zeros(panel.n_series, dtype=np.int64)}
    )
    numbers = owners.with_columns(owner=pl.int_range(pl.len()))
    groups = numbers.group_by(owners.columns, maintain_order=True).agg("owner").sort(owners.columns)
    shared = _Shared(dependence, panel, h, model.seed)
    trained = model.support.within(model.quantiles(panel, h, QUANTILES))
    average = means(trained, panel, model.support)
    tables = []
    for *values, members in groups.iter_rows():
        rows = np.array(members)
        part = _Part(panel.take(rows), trained[rows], average[rows])
        heading = dict(zip(owners.columns, values, strict=True))
        heading.pop("all", None)
        table = _totals(model, part, shared, by_step="step" in keys, levels=levels)
        named = (pl.lit(value, dtype=owners.schema[key]).alias(key) for key, value in heading.items())
        tables.append(table.select(*named, pl.all()))
    return pl.concat(tables)


def totals_of(
    model: SeriesForecaster,
    h: int,
    by: str | Sequence[str] | None = None,
    levels: Sequence[float] = (80,),
    ids: Collection[object] | None = None,
) -> pl.DataFrame:
    """Return totals of any fitted forecaster of series: ours, or a rule, which knows no paths of its own."""
    if model.is_ours:
        return model.predict_totals(h, by, levels, ids)
    rule = Forecaster(model.panel_, model.forecast, Support.of(model.panel_), model.name)
    return predict_totals(rule, h, by, levels, ids)


class _Shared:
    """What the series of a panel have in common: errors of each step of the grid, path by path."""

    def __init__(self, dependence: Dependence, panel: Panel, h: int, seed: int) -> None:
        self.dependence, self.h, self.seed = dependence, h, seed
        self.first = int(panel.ends.min())
        span = min(int(panel.ends.max()) - self.first, _SPAN)
        draws = np.random.default_rng(seed).standard_normal((_PATHS, span + h))
        self.errors = _persistent(draws, dependence.steps)

    def paths(self, panel: Panel, k: int) -> FloatArray:
        """Return standard normal errors of one target, shape (n_series, paths, h)."""
        own = [
            np.random.default_rng([int(stream), k]).standard_normal((_PATHS, self.h))
            for stream in streams_of(panel.ids, self.seed)
        ]
        late = np.minimum(panel.ends - self.first, self.errors.shape[1] - self.h)
        common = np.moveaxis(self.errors[:, late[:, None] + np.arange(self.h)], 0, 1)
        share = self.dependence.series
        together: FloatArray = np.sqrt(share) * common
        together += np.sqrt(1.0 - share) * _persistent(np.stack(own), self.dependence.steps)
        return together


class _Part(NamedTuple):
    """Some series, their quantiles (n_series, h, n_targets, n_quantiles), and means (without the last)."""

    panel: Panel
    quantiles: FloatArray
    means: FloatArray


def _totals(
    model: Forecaster, part: _Part, shared: _Shared, *, by_step: bool, levels: Sequence[float]
) -> pl.DataFrame:
    """Return the totals of one group of series, each target by itself."""
    panel, h, name = part.panel, shared.h, model.name
    n_targets, ends = len(panel.targets), np.unique(panel.ends)
    steps = np.unique(ends[:, None] + 1 + np.arange(h)) if by_step else np.array([ends[0] + 1])
    place = np.searchsorted(steps, panel.ends[:, None] + 1 + np.arange(h)) if by_step else None
    expected, sums = np.zeros((n_targets, len(steps))), np.zeros((n_targets, _PATHS, len(steps)))
    for begin in range(0, panel.n_series, _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, panel.n_series))
        block = panel.take(rows)
        for k in range(n_targets):
            drawn = _at(part.quantiles[rows, :, k], shared.paths(block, k))
            if place is None:
                expected[k] += part.means[rows, :, k].sum()
                sums[k, :, 0] += drawn.sum(axis=(0, 2))
            else:
                np.add.at(expected[k], place[rows], part.means[rows, :, k])
                np.add.at(sums[k].T, place[rows], np.moveaxis(drawn, 1, 2))
    last = steps if by_step else np.array([ends[-1] + h])
    tables = []
    for k, target in enumerate(panel.targets):
        columns: dict[str, object] = {"ds": panel.time_of(steps), "end": panel.time_of(last)}
        if n_targets > 1:
            columns["target"] = pl.repeat(target, len(steps), eager=True)
        columns[name] = expected[k]
        # Means of quantiles add up, those of paths but nearly: these say how far the truth may be from them.
        away = expected[k] - sums[k].mean(axis=0)
        for level in levels:
            for side, sign in (("lo", -1), ("hi", 1)):
                end = np.quantile(sums[k], 0.5 + sign * level / 200, axis=0) + away
                columns[f"{name}-{side}-{level:g}"] = np.maximum(end, model.support.limits[0][k])
        tables.append(pl.DataFrame(columns))
    return pl.concat(tables)


def _misses(panel: Panel, h: int, back: int) -> FloatArray:
    """Return the prior's errors in one held-back horizon, shape (n_targets, n_series, h)."""
    before, after = panel.tail_split(back * h)
    truth = after.values.reshape(before.n_series, back * h, -1)[:, :h]
    found = _on_normal_scale(truth, prior_quantiles(before, h, QUANTILES))
    out = np.full((len(panel.targets), panel.n_series, h), np.nan)
    out[:, panel.ids.is_in(before.ids.implode()).to_numpy()] = np.moveaxis(found, 2, 0)
    return out


def _on_normal_scale(truth: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Return where values lie among their quantiles, in standard deviations; NaN where there is none."""
    above = truth[..., None] >= quantiles
    k = np.clip(above.sum(axis=-1), 1, len(QUANTILES) - 1)[..., None]
    low, high = (np.take_along_axis(quantiles, k - i, axis=-1)[..., 0] for i in (1, 0))
    width = high - low
    share = np.where(width > 0, (truth - low) / np.where(width > 0, width, 1.0), 0.5)
    k = k[..., 0]
    z = _NORMAL[k - 1] + share * (_NORMAL[k] - _NORMAL[k - 1])
    return np.clip(np.where(np.isnan(low + high), np.nan, z), -_FARTHEST, _FARTHEST)


def _at(quantiles: FloatArray, z: FloatArray) -> FloatArray:
    """Return values at standard normal errors, shapes (n, h, n_quantiles), (n, paths, h) → (n, paths, h)."""
    z = np.clip(z, -_FARTHEST, _FARTHEST)
    k = np.clip(np.searchsorted(_NORMAL, z), 1, len(QUANTILES) - 1)
    series, step = np.arange(len(z))[:, None, None], np.arange(z.shape[2])
    low, high = quantiles[series, step, k - 1], quantiles[series, step, k]
    values: FloatArray = low + (z - _NORMAL[k - 1]) / (_NORMAL[k] - _NORMAL[k - 1]) * (high - low)
    return values


def _persistent(draws: FloatArray, correlation: float) -> FloatArray:
    """Return standard normal draws whose neighbours along the last axis are correlated."""
    out = draws.copy()
    for t in range(1, draws.shape[-1]):
        out[..., t] = correlation * out[..., t - 1] + np.sqrt(1.0 - correlation**2) * draws[..., t]
    return out
