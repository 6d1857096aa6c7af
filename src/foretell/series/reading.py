"""How a panel becomes numbers for a network: covariates by their codes, whole series by their scales."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from foretell.core import FloatArray, IntArray
from foretell.core.ragged import flat_ranges
from foretell.data.panel import Panel
from foretell.nn.arrays import to_device
from foretell.series.covariates import CovariateCode
from foretell.series.scale import Units, series_scale
from foretell.series.windows import Flat

# From fewer years a yearly cycle cannot be told from a trend.
_LEAST_YEARS, _YEAR_US = 1.5, 365.25 * 86_400e6


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a panel becomes numbers; learned in training, kept with the model.

    Attributes
    ----------
    past, future, static : CovariateCode
    loc, scale : float64 array, shape (n_series, n_targets)
        Of the training series, by which whole series are normalised.
    ids : tuple
        The training series.
    typical : float64 array, shape (2, n_targets)
        Location and scale for series without any of their own.
    kind : str
        Normalisation, as in `WindowConfig`.
    log : bool
    cycles : tuple of float
        For each column of the calendar, 1 if the training period is long enough to show its cycle, else 0.
    """

    past: CovariateCode
    future: CovariateCode
    static: CovariateCode
    loc: FloatArray
    scale: FloatArray
    ids: tuple[object, ...]
    typical: FloatArray
    kind: str
    log: bool
    cycles: tuple[float, ...]

    @classmethod
    def fit(cls, panel: Panel, kind: str, *, log: bool) -> Reading:
        """Learn from the training period."""
        own = _own_scales(panel, kind, log=log)
        level = np.array([_median(column, 1.0) for column in own[0].T])
        spread = [_median(column, abs(loc) or 1.0) for column, loc in zip(own[1].T, level, strict=True)]
        return cls(
            past=CovariateCode.fit(panel.past),
            future=CovariateCode.fit(panel.future),
            static=CovariateCode.fit(panel.static),
            loc=own[0],
            scale=own[1],
            ids=tuple(panel.ids.to_list()),
            typical=np.array([level, spread]),
            kind=kind,
            log=log,
            cycles=_cycles_seen(panel),
        )

    @functools.cached_property
    def _place(self) -> dict[object, int]:
        return {key: i for i, key in enumerate(self.ids)}

    def scales(self, panel: Panel) -> tuple[FloatArray, FloatArray]:
        """Return location and scale of each series: the training's, or a new series' own, or typical ones."""
        rows = np.array([self._place.get(key, -1) for key in panel.ids.to_list()])
        own = np.stack([self.loc[rows], self.scale[rows]])
        strange = np.flatnonzero(rows < 0)
        if len(strange):
            own[:, strange] = _own_scales(panel.take(strange), self.kind, log=self.log)
        filled = np.where(np.isnan(own), self.typical[:, None], own)
        return filled[0], filled[1]

    def units(self, panel: Panel) -> Units:
        """Return the units in which the network counts each series of a panel."""
        return Units.of(panel, self.typical, log=self.log, about_zero=self.kind == "first")

    def flat(
        self,
        panel: Panel,
        units: Units,
        extra: int,
        room: tuple[int, int] = (0, 0),
        filled: FloatArray | None = None,
    ) -> Flat:
        """Return the panel on the device.

        Parameters
        ----------
        panel : Panel
        units : Units
            Of its series.
        extra : int
            Rows after each series.
        room : tuple of int
            Series and rows up to which it is filled.
        filled : array, shape (n_rows, n_targets), optional
            What `carried` says of the values, where the panel does not go back far enough to say it.
        """
        (n_series, n_rows), n, lengths = room, panel.n_series, panel.lengths
        total = max(panel.n_rows + n * extra, n_rows)
        rows = flat_ranges(panel.offsets[:-1] + np.arange(n) * extra, lengths)
        values = np.zeros((total, len(panel.targets)), dtype=np.float32)
        values[rows] = carried(panel, units) if filled is None else filled
        mask = np.zeros_like(values)
        mask[rows] = ~np.isnan(panel.values)
        whole = self.scales(panel)
        past = np.zeros((total, self.past.width), dtype=np.float32)
        past[rows] = self.past.encode(panel.past)
        loc, scale, static = (
            np.concatenate([part, np.ones((max(n_series - n, 0), part.shape[1]))])
            for part in (
                (whole[0] - units.loc) / units.divisor,
                whole[1] / units.divisor,
                self.static.encode(panel.static),
            )
        )
        parts = (values, mask, past, self._known(panel, extra, rows, total), static, loc, scale)
        return Flat(*(to_device(np.asarray(part, dtype=np.float32)) for part in parts))

    def _known(self, panel: Panel, extra: int, rows: IntArray, total: int) -> FloatArray:
        """Return the calendar and the future covariates of all rows; what is not known is 0."""
        ends = panel.offsets[1:] + np.arange(panel.n_series) * extra
        calendar = np.zeros((total, len(panel.grid.calendar_names)))
        after = flat_ranges(ends, np.full(panel.n_series, extra))
        seen = np.array(self.cycles, dtype=float)
        calendar[rows] = panel.grid.calendar(panel.index) * seen
        steps = flat_ranges(panel.ends + 1, np.full(panel.n_series, extra))
        calendar[after] = panel.grid.calendar(steps) * seen
        future = np.zeros((total, self.future.width))
        future[rows] = self.future.encode(panel.future)
        n_ahead = np.minimum(np.diff(panel.ahead_offsets), extra)
        known = self.future.encode(panel.ahead)
        future[flat_ranges(ends, n_ahead)] = known[flat_ranges(panel.ahead_offsets[:-1], n_ahead)]
        return np.concatenate([calendar, future], axis=1)


def carried(panel: Panel, units: Units) -> FloatArray:
    """Return the values in units of their series, the last observed one where one is missing, else 0."""
    values = units.into(panel.values, panel.owner)
    missing = np.isnan(values)
    if not missing.any():
        return values
    place = np.maximum.accumulate(np.where(missing, -1, np.arange(len(values))[:, None]), axis=0)
    known = place >= panel.offsets[:-1][panel.owner][:, None]
    return np.where(known, np.take_along_axis(values, place, axis=0), 0.0)


def _own_scales(panel: Panel, kind: str, *, log: bool) -> FloatArray:
    """Return location and scale of each series by itself, shape (2, n_series, n_targets)."""
    values = np.log1p(panel.values) if log else panel.values
    bounds = zip(panel.offsets[:-1], panel.offsets[1:], strict=True)
    return np.stack([np.stack(series_scale(kind, values[a:b])) for a, b in bounds], axis=1)


def _cycles_seen(panel: Panel) -> tuple[float, ...]:
    """Return 1 for each column of the calendar whose cycle the panel shows, 0 for a year seen in part."""
    numbers = panel.grid.numbers_of([panel.starts.min(), panel.ends.max()])
    years = float(numbers[1] - numbers[0]) / _YEAR_US
    return tuple(
        float(not name.endswith("year") or years >= _LEAST_YEARS) for name in panel.grid.calendar_names
    )


def _median(column: FloatArray, otherwise: float) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if len(known) else otherwise
