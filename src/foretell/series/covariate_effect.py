"""What covariates that are known ahead add to the prior, which reads the series alone: a ridge regression."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.contracts import Described
from foretell.data.covariates import Covariates, seen_only
from foretell.data.panel import Panel
from foretell.data.state import refuse
from foretell.series.covariates import CovariateCode, known_ahead
from foretell.series.prior_forecast import prior_quantiles, seasons_of
from foretell.series.quantiles import QUANTILES, at_levels
from foretell.stats.blending import surely_positive

SHARE, LEVEL, CHANGE = FORMS = ("share", "level", "change")
# A value is held against those of the same place in so many cycles before and after.
_CYCLES: Final = np.array([-2, -1, 1, 2])
_PENALTIES: Final = (1e-3, 3e-2, 1.0)  # for each value, of coefficients of columns of unit variance
_OWN: Final = (300.0, 30.0, 3.0)  # so many values of a series count as much as the panel
_BLOCKS: Final = 10  # periods of the panel, each held back once
_AT_ONCE: Final = 512  # series that are answered at once
_LEAST_ROWS, _MOST_ROWS = 30, 100_000  # of the regression
_LEAST_SHARE: Final = 0.1  # of a series' level; in logarithms smaller values count as that
# Levels of a forecast, and draws of the effect, that are mixed where covariates are not given.
_GRID: Final = tuple(((np.arange(39) + 0.5) / 39).tolist())
_DRAWS: Final = 101
_SCATTERED: Final = np.arange(_DRAWS) * 37 % _DRAWS  # so that some of the draws are like all of them


class TargetEffect(NamedTuple):
    """The effect of the coded covariates on one target.

    Attributes
    ----------
    form : {"share", "level", "change"}
        Effects multiply a value by their exponential; or they are added, in units of the series' mean, or of
        its mean change over a season.
    coefficients : tuple of float
        Of each coded column, the panel's.
    own : float
        So many values of a series count as much as the panel; infinite where all have the same coefficients.
    """

    form: str
    coefficients: tuple[float, ...]
    own: float


class ColumnScale(NamedTuple):
    """How coded columns are counted in the regression.

    Attributes
    ----------
    usual : tuple of float
        Means, from which effects are counted.
    spread : tuple of float
        Deviations.
    least, greatest : tuple of float
        The range of what was seen, in deviations from the mean; others are brought within.
    """

    usual: tuple[float, ...]
    spread: tuple[float, ...]
    least: tuple[float, ...]
    greatest: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class CovariateEffect:
    """What future covariates do to the targets of a panel, in units of each series.

    A value and its covariates are held against those of the same place in the cycles around: the differences
    know neither level nor season, and ridge regression finds the effect in them; that of a series is drawn
    to the panel's. Form and penalties are those by which held-back periods are told best. There is no effect
    where that is not better than none by more than chance.

    Attributes
    ----------
    code : CovariateCode
    scale : ColumnScale
    cycle : int
        Steps.
    targets : tuple of TargetEffect or None
        None for a target that the covariates say nothing of.

    Examples
    --------
    >>> promo = np.random.default_rng(0).integers(0, 2, 60).astype(float)
    >>> panel = Panel.from_arrays([10.0 + 5.0 * promo], future={"promo": [promo]})
    >>> effect = CovariateEffect.fit(panel, season=1)
    >>> float(panel.values.std().round()), float(effect.without(panel).values.std().round())
    (2.0, 0.0)
    """

    code: CovariateCode
    scale: ColumnScale
    cycle: int
    targets: tuple[TargetEffect | None, ...]

    @classmethod
    def fit(cls, panel: Panel, season: int) -> CovariateEffect | None:
        """Learn from the history of a panel; None where covariates do not help."""
        if not panel.future:
            return None
        if panel.n_rows > _MOST_ROWS:
            order = np.random.default_rng(0).permutation(panel.n_series)
            n_chosen = int(np.searchsorted(panel.lengths[order].cumsum(), _MOST_ROWS)) + 1
            panel = panel.take(np.sort(order[:n_chosen]))
        code = CovariateCode.fit(seen_only(panel.future)[0])
        if not code.width:
            return None
        coded = code.encode_known(panel.future)
        known = ~np.isnan(coded)
        counts = np.maximum(known.sum(axis=0), 1)
        usual = np.where(known, coded, 0.0).sum(axis=0) / counts
        away = np.where(known, coded - usual, 0.0)
        spread = np.sqrt((away**2).sum(axis=0) / counts)
        spread = np.where(spread > 1e-9, spread, 1.0)
        away /= spread
        cycle = _cycle(panel, season)
        targets = tuple(_fit(_Around.of(panel, k, away, cycle)) for k in range(len(panel.targets)))
        columns = (usual, spread, away.min(axis=0), away.max(axis=0))
        scale = ColumnScale(*(tuple(column.tolist()) for column in columns))
        return cls(code, scale, cycle, targets) if any(targets) else None

    @classmethod
    def from_description(cls, kept: Described | None, names: Sequence[str]) -> CovariateEffect | None:
        """Return the effect that JSON describes, of future covariates of these names."""
        if kept is None:
            return None
        code = CovariateCode.from_description(kept["code"])
        scale = ColumnScale(*(tuple(map(float, column)) for column in kept["scale"]))
        targets = tuple(
            None if one is None else TargetEffect(str(one[0]), tuple(map(float, one[1])), float(one[2]))
            for one in kept["targets"]
        )
        rows = [*scale, *(one.coefficients for one in targets if one)]
        refuse(
            "effect of the covariates",
            {
                "other names": list(code.names) != list(names),
                "other columns": any(len(row) != code.width for row in rows),
                "other numbers": not np.isfinite(np.concatenate(rows)).all() or min(scale.spread) <= 0,
                "other forms": any(one.form not in FORMS or not one.own > 0 for one in targets if one),
                "no cycle": not isinstance(kept["cycle"], int) or kept["cycle"] < 1,
            },
        )
        return cls(code, scale, kept["cycle"], targets)

    def without(self, panel: Panel) -> Panel:
        """Return a panel as it would have been with usual covariates at all steps."""
        history = self._design(panel.future)
        return self._without(panel, history, self._coefficients(panel, history))

    def quantiles(self, panel: Panel, h: int, quantiles: Sequence[float], season: int) -> FloatArray:
        """Return the prior's quantiles with the effect, shape (n_series, h, n_targets, n_quantiles).

        Series are forecast as they would have been with usual covariates, and the effect of those that are
        known ahead is added. Where one is not given, the answer is over all that it may be, see `_had`.
        """
        blocks = [
            self._quantiles(
                panel.take(np.arange(begin, min(begin + _AT_ONCE, panel.n_series))), h, quantiles, season
            )
            for begin in range(0, panel.n_series, _AT_ONCE)
        ]
        return np.concatenate(blocks)

    def _quantiles(self, panel: Panel, h: int, quantiles: Sequence[float], season: int) -> FloatArray:
        history = self._design(panel.future)
        ahead = self._design(known_ahead(panel, h)).reshape(panel.n_series, h, -1)
        coefficients = self._coefficients(panel, history)
        trained = prior_quantiles(self._without(panel, history, coefficients), h, QUANTILES, season)
        answer = at_levels(trained, quantiles)
        for k, target in enumerate(self.targets):
            if target is None:
                continue
            unit = _units(panel, k, self.cycle)[target.form]
            away = _sum(ahead, coefficients[k][:, None])[..., None]
            answer[:, :, k] = _applied(target.form, answer[:, :, k], away, unit[:, None, None])
            for i, steps, columns in _not_given(ahead):
                rows = slice(panel.offsets[i], panel.offsets[i + 1])
                both = np.concatenate([history[rows, columns], ahead[i][:, columns]])
                had = _had(both, coefficients[k][i, columns], len(both) - h + steps)
                alone = at_levels(trained[i, steps, k], _GRID)[:, :, None]
                drawn = _applied(target.form, alone, away[i, steps, :, None] + had[:, None], unit[i])
                answer[i, steps, k] = np.quantile(drawn.reshape(len(steps), -1), quantiles, axis=1).T
        lowest = np.fmin.reduceat(panel.values, panel.offsets[:-1], axis=0)
        floor = np.where(lowest >= 0, 0.0, -np.inf)[:, None, :, None]
        return np.sort(np.maximum(answer, floor), axis=-1)

    def _design(self, covariates: Covariates) -> FloatArray:
        """Return the coded columns in deviations from what is usual, within what was seen, NaN unknown."""
        away = (self.code.encode_known(covariates) - self.scale.usual) / self.scale.spread
        within: FloatArray = np.clip(away, self.scale.least, self.scale.greatest)
        return within

    def _coefficients(self, panel: Panel, history: FloatArray) -> list[FloatArray]:
        """Return the coefficients of each series, shape (n_series, width), of each target."""
        found = []
        for k, target in enumerate(self.targets):
            shared = np.zeros(self.code.width) if target is None else np.array(target.coefficients)
            if target is None or math.isinf(target.own):
                found.append(np.tile(shared, (panel.n_series, 1)))
                continue
            around = _Around.of(panel, k, np.nan_to_num(history), self.cycle)
            sums = around.sums(target.form, np.zeros_like(around.rows), 1)
            found.append(_drawn(sums, shared, target.own)[:, 0])
        return found

    def _without(self, panel: Panel, history: FloatArray, coefficients: Sequence[FloatArray]) -> Panel:
        values = panel.values.copy()
        for k, target in enumerate(self.targets):
            if target is not None:
                away = _sum(history, coefficients[k][panel.owner])
                unit = _units(panel, k, self.cycle)[target.form][panel.owner]
                values[:, k] = _applied(target.form, values[:, k], -away, unit)
        return dataclasses.replace(panel, values=values)


def prior_with(
    effect: CovariateEffect | None, panel: Panel, h: int, quantiles: Sequence[float], season: int
) -> FloatArray:
    """Return the prior's quantiles, with the effect of future covariates where there is one."""
    if effect is None:
        return prior_quantiles(panel, h, quantiles, season)
    return effect.quantiles(panel, h, quantiles, season)


class _Sums(NamedTuple):
    """Of the differences of each series in each block: products of covariates, and with the values."""

    products: FloatArray  # (n_series, n_blocks, width, width)
    with_values: FloatArray  # (n_series, n_blocks, width)


class _Around(NamedTuple):
    """The values of one target that can be held against those of the cycles around."""

    panel: Panel
    units: dict[str, FloatArray]
    values: FloatArray  # (n_rows,)
    design: FloatArray  # (n_rows, width)
    rows: IntArray  # (n,)
    places: IntArray  # (n, n_cycles), of the values around
    weights: FloatArray  # (n, n_cycles), theirs in the mean; 0 where there is none

    @classmethod
    def of(cls, panel: Panel, k: int, design: FloatArray, cycle: int) -> _Around:
        values, owner = panel.values[:, k], panel.owner
        units = _units(panel, k, cycle)
        known = ~np.isnan(values) & (units[CHANGE] > 0)[owner]
        places = np.arange(panel.n_rows)[:, None] + cycle * _CYCLES
        inside = (places >= panel.offsets[:-1][owner, None]) & (places < panel.offsets[1:][owner, None])
        places = np.where(inside, places, 0)
        there = inside & known[places] & known[:, None]
        rows = np.flatnonzero(there.any(axis=1))
        weights = there[rows] / there[rows].sum(axis=1, keepdims=True)
        return cls(panel, units, np.nan_to_num(values), design, rows, places[rows], weights)

    @property
    def owner(self) -> IntArray:
        return self.panel.owner[self.rows]

    def sums(self, form: str, block: IntArray, n_blocks: int) -> _Sums:
        """Return sums over the rows of each series and block."""
        values = self.values / self.units[form][self.panel.owner]
        if form == SHARE:
            values = np.log(np.maximum(values, _LEAST_SHARE))
        x = self.design[self.rows] - (self.weights[..., None] * self.design[self.places]).sum(axis=1)
        z = values[self.rows] - (self.weights * values[self.places]).sum(axis=1)
        n, width = self.panel.n_series, x.shape[1]
        products, with_values = np.zeros((n, n_blocks, width, width)), np.zeros((n, n_blocks, width))
        place = self.owner, block
        for c in range(width):
            np.add.at(products[:, :, c], place, x[:, c, None] * x)
        np.add.at(with_values, place, z[:, None] * x)
        return _Sums(products, with_values)

    def errors(self, form: str, coefficients: FloatArray, block: IntArray) -> FloatArray:
        """Return by block how far values are from those around without their effects, and with their own.

        Parameters
        ----------
        form : str
        coefficients : array, shape (n, width)
            By which each value, and those around it, are told.
        block : array, shape (n,)
        """
        own = (self.design[self.rows] * coefficients).sum(axis=1)
        theirs = (self.design[self.places] * coefficients[:, None]).sum(axis=2)
        unit = self.units[form][self.owner]
        clean = _applied(form, self.values[self.places], -theirs, unit[:, None])
        told = _applied(form, (self.weights * clean).sum(axis=1), own, unit)
        misses = np.abs(self.values[self.rows] - told) / self.units[CHANGE][self.owner]
        by_block: FloatArray = np.bincount(block, misses) / np.bincount(block)
        return by_block


def _fit(around: _Around) -> TargetEffect | None:
    """Return the effect on one target by which held-back periods are told best; None where none is better."""
    if len(around.rows) < _LEAST_ROWS:
        return None
    index = around.panel.index[around.rows]
    edges = np.quantile(index, np.arange(1, _BLOCKS) / _BLOCKS)
    block = np.unique(np.searchsorted(edges, index, side="right"), return_inverse=True)[1]
    n_blocks, width = int(block.max()) + 1, around.design.shape[1]
    none = around.errors(LEVEL, np.zeros((len(block), width)), block)
    positive = not (around.values < 0).any()
    tried: list[_Tried] = []
    for form in FORMS if positive else (CHANGE,):
        sums = around.sums(form, block, n_blocks)
        pooled = _Sums(*(part.sum(axis=0, keepdims=True) for part in sums))
        whole = _Sums(*(part.sum(axis=1, keepdims=True) for part in pooled))
        of_form = []
        for penalty in _PENALTIES:
            ridge = penalty * len(block)
            left = _drawn(_others(pooled), np.zeros(width), ridge)[0]
            shared = tuple(_drawn(whole, np.zeros(width), ridge)[0, 0].tolist())
            errors = around.errors(form, left[block], block)
            of_form.append(_Tried(errors, TargetEffect(form, shared, math.inf), left))
        best = min(of_form, key=_Tried.mean)
        tried.append(best)
        for strength in _OWN:
            own = _drawn(_others(sums), best.left, strength)[around.owner, block]
            errors = around.errors(form, own, block)
            tried.append(best._replace(errors=errors, effect=best.effect._replace(own=strength)))
    found = min(tried, key=_Tried.mean)
    return found.effect if surely_positive(none - found.errors) else None


class _Tried(NamedTuple):
    """How an effect did in held-back blocks."""

    errors: FloatArray  # by block
    effect: TargetEffect
    left: FloatArray  # (n_blocks, width), coefficients without each block

    def mean(self) -> float:
        return float(self.errors.mean())


def _others(sums: _Sums) -> _Sums:
    """Return for each block the sums over all others."""
    return _Sums(*(part.sum(axis=1, keepdims=True) - part for part in sums))


def _drawn(sums: _Sums, towards: FloatArray, strength: float) -> FloatArray:
    """Return ridge coefficients, shape (n_series, n_blocks, width), drawn towards others.

    b = t + (X'X + λI)⁻¹ X'(z − X t) minimises |z − X b|² + λ|b − t|² (Hoerl & Kennard 1970, with t = 0).
    """
    misses = sums.with_values - (sums.products * towards[..., None, :]).sum(axis=-1)
    ridge = sums.products + strength * np.eye(sums.products.shape[-1])
    drawn: FloatArray = towards + np.linalg.solve(ridge, misses[..., None])[..., 0]
    return drawn


def _applied(form: str, values: FloatArray, effect: FloatArray, unit: FloatArray) -> FloatArray:
    """Return values with an effect."""
    found: FloatArray = values * np.exp(effect) if form == SHARE else values + np.nan_to_num(unit) * effect
    return found


def _sum(design: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Return the effects of coded columns, unknown ones as usual.

    They are added column by column: what a series gets does not depend on how many stand beside it.
    """
    away = np.nan_to_num(design) * coefficients
    total: FloatArray = np.zeros(away.shape[:-1])
    for column in range(away.shape[-1]):
        total = total + away[..., column]
    return total


def _not_given(ahead: FloatArray) -> Iterator[tuple[int, IntArray, BoolArray]]:
    """Return series, steps and columns, of columns that are not given at these steps."""
    missing = np.isnan(ahead)
    for i in np.flatnonzero(missing.any(axis=(1, 2))):
        patterns, of_step = np.unique(missing[i], axis=0, return_inverse=True)
        for number, columns in enumerate(patterns):
            if columns.any():
                yield int(i), np.flatnonzero(of_step.reshape(-1) == number), columns


def _had(design: FloatArray, coefficients: FloatArray, places: IntArray) -> FloatArray:
    """Return effects that covariates may have at places where they are not given, shape (n_places, _DRAWS).

    They stay as they were last known, and are drawn anew from what was known before, at a rate that the
    correlation of neighbours tells: promotions of a day are soon forgotten, prices stay.
    """
    known: BoolArray = np.asarray(~np.isnan(design).any(axis=1))
    if not known.any():
        return np.zeros((len(places), _DRAWS))
    effects = _sum(design, coefficients)
    away = np.where(known, effects - effects[known].mean(), 0.0)
    pairs = known[1:] & known[:-1]
    variance = (away[1:][pairs] ** 2 + away[:-1][pairs] ** 2).sum() / 2.0
    stays = max((away[1:] * away[:-1])[pairs].sum() / variance, 0.0) if variance > 0 else 0.0
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))[places]
    share = np.where(last >= 0, stays ** (places - last), 0.0)[:, None]
    anew = np.quantile(effects[known], (np.arange(_DRAWS) + 0.5) / _DRAWS)
    return np.where(share > (_SCATTERED + 0.5) / _DRAWS, effects[last][:, None], anew)


def _units(panel: Panel, k: int, cycle: int) -> dict[str, FloatArray]:
    """Return the units of each series, by form; NaN where a series does not say."""
    values, owner, n = panel.values[:, k], panel.owner, panel.n_series

    def mean(numbers: FloatArray, of: IntArray) -> FloatArray:
        known = ~np.isnan(numbers)
        counts = np.bincount(of[known], minlength=n)
        return np.bincount(of[known], numbers[known], n) / np.where(counts > 0, counts, np.nan)

    def change(lag: int) -> FloatArray:
        same = owner[lag:] == owner[:-lag]
        return mean(np.abs(values[lag:] - values[:-lag])[same], owner[lag:][same])

    level = mean(np.abs(values), owner)
    level = np.where(level > 0, level, np.nan)
    by_cycle = change(cycle)
    usual = np.where(by_cycle > 0, by_cycle, change(1))
    return {SHARE: level, LEVEL: level, CHANGE: np.where(usual > 0, usual, np.nan)}


def _cycle(panel: Panel, season: int) -> int:
    """Return the longest season that is repeated often enough to hold its places against each other."""
    fitting = [steps for steps in seasons_of(panel, season).smoothed if 5 * steps <= np.median(panel.lengths)]
    return max(fitting, default=1)
