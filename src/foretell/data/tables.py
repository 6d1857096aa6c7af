"""The tables that every model answers with: of all customers or series, or of a block of them at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.constraints import as_ids, as_levels, check_whole
from foretell.core.ragged import flat_ranges
from foretell.core.time import as_durations, interval_ticks
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import ParameterError

YEARS_AHEAD = 100  # a date further away than this says "not in your lifetime" and is shown as such
CUSTOMERS: Final = 50_000  # of a block
_FEW: Final = 16  # one in so many
SERIES: Final = 4_096


class Customers(NamedTuple):
    """Whose answers a table holds, in its order.

    Attributes
    ----------
    ids : polars.Series
    places : int64 array
        Positions in the log; -1 for customers that it has never seen.
    log : EventLog
    """

    ids: pl.Series
    places: IntArray
    log: EventLog

    @property
    def known(self) -> BoolArray:
        """Whom the log has seen."""
        return self.places >= 0


class EventAnswers(NamedTuple):
    """What a model answers for n customers; None is what it cannot know of anybody.

    Attributes
    ----------
    next_event : array, shape (n,), or None
        Median of the time to the next event given a return, in ticks after the as-of date; NaN where the
        model knows nothing more of a customer.
    intervals : array, shape (n_levels, 2, n), or None
        Ends of the central intervals of the same.
    p_active, overdue : array, shape (n,), or None
    p_return, expected : array, shape (n, n_horizons), or None
    """

    next_event: FloatArray | None = None
    intervals: FloatArray | None = None
    p_active: FloatArray | None = None
    p_return: FloatArray | None = None
    expected: FloatArray | None = None
    overdue: FloatArray | None = None


def asked_customers(log: EventLog, ids: Collection[object] | None) -> Customers:
    """Return the customers that were asked for, in the asked order; by default all of the log."""
    wanted = as_ids(ids)
    if wanted is None:
        return Customers(log.ids, np.arange(log.n_customers), log)
    try:
        names = pl.Series(wanted, dtype=log.ids.dtype)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise ParameterError(f"ids are {log.ids.dtype} in this log; got {wanted[:3]!r}") from error
    known = pl.DataFrame({"id": log.ids, "place": np.arange(log.n_customers)})
    if len(names) * _FEW < log.n_customers:  # few are looked up in less time than it takes to sort in all
        known = known.filter(known["id"].is_in(names.implode()))
    places = names.to_frame("id").join(known, on="id", how="left", maintain_order="left")["place"]
    return Customers(names, places.fill_null(-1).to_numpy(), log)


def typed_ids(ids: pl.Series, given: Sequence[str]) -> Sequence[str | float]:
    """Return ids that were written as text, on a command line or in an address, in the type of a log's own.

    Examples
    --------
    >>> typed_ids(pl.Series([7, 9]), ["9"]), typed_ids(pl.Series(["a", "b"]), ["9"])
    ([9], ['9'])
    """
    if not ids.dtype.is_numeric():
        return given
    whole = ids.dtype.is_integer()
    try:
        return [int(text) if whole else float(text) for text in given]
    except ValueError as error:
        kind = "whole numbers" if whole else "numbers"
        raise ParameterError(f"ids={list(given)!r}: the ids of this model are {kind}") from error


def named_horizons(log: EventLog, horizons: object) -> list[tuple[str, int]]:
    """Return horizons by the names that columns carry, and in ticks: ``30`` is named ``"30t"``."""
    timed = [(given, log.ticks_of(given)) for given in as_durations(horizons)]
    named = {given if isinstance(given, str) else f"{ticks}t": ticks for given, ticks in timed}
    return list(named.items())


def interval_tails(levels: Sequence[float]) -> FloatArray:
    """Return the probabilities below the ends of central intervals, shape (2 n_levels,).

    Examples
    --------
    >>> interval_tails([50, 80]).round(3).tolist()
    [0.25, 0.75, 0.1, 0.9]
    """
    return np.array([tail for level in as_levels(levels) for tail in (0.5 - level / 200, 0.5 + level / 200)])


def event_table(
    customers: Customers,
    answers: EventAnswers,
    *,
    horizons: Sequence[tuple[str, int]],
    levels: Sequence[float],
) -> pl.DataFrame:
    """Return one row per customer; see `EventForecaster.predict` for the columns."""
    ids, _, log = customers
    known, n = customers.known, len(ids)
    last = log.last[customers.places]
    columns: dict[str, pl.Series] = {
        "unique_id": ids,
        "as_of": log.time_of(np.full(n, log.as_of)),
        "n_events": pl.Series(np.where(known, log.counts[customers.places], 0)),
        "last_event": null_unless(known, log.time_of(last)),
        "p_active": _numbers(answers.p_active, n),
        "next_event": moment_dates(answers.next_event, log, n),
    }
    for k, level in enumerate(levels):
        ends = np.full((2, n), np.nan) if answers.intervals is None else answers.intervals[k]
        certain = ~np.isnan(ends[0])
        low, high = np.clip(np.nan_to_num(ends), 0.0, _far(log))
        ticks = interval_ticks(low, high, log.as_of)
        for name, edge in (("lo", ticks[:, 0]), ("hi", ticks[:, 1])):
            columns[f"next_event-{name}-{level}"] = null_unless(certain, log.time_of(edge))
    for word, values in (("p_return", answers.p_return), ("expected_events", answers.expected)):
        for k, (name, _) in enumerate(horizons):
            columns[f"{word}_{name}"] = _numbers(None if values is None else values[:, k], n)
    columns["overdue"] = null_unless(known, _numbers(answers.overdue, n))
    return pl.DataFrame(columns)


def quantile_table(customers: Customers, moments: FloatArray, levels: Sequence[float]) -> pl.DataFrame:
    """Return dates of the next event at quantiles, of moments in ticks after the as-of date.

    The columns are ``unique_id``, ``q0.1`` …; the moments are of shape (n_levels, n).
    """
    ids, _, log = customers
    dates = {
        f"q{level:g}": moment_dates(row, log, len(ids)) for level, row in zip(levels, moments, strict=True)
    }
    return pl.DataFrame({"unique_id": ids} | dates)


def moment_dates(moments: FloatArray | None, log: EventLog, n: int) -> pl.Series:
    """Return moments after the as-of date, in ticks, as dates; null for NaN."""
    moments = np.full(n, np.nan) if moments is None else moments
    ticks = np.maximum(np.ceil(np.minimum(np.nan_to_num(moments), _far(log))), 1)
    return null_unless(~np.isnan(moments), log.time_of(log.as_of + ticks))


def _far(log: EventLog) -> float:
    return YEARS_AHEAD * 365.25 * (24 if log.unit == "hour" else 1)


def _numbers(values: FloatArray | None, n: int) -> pl.Series:
    """Return numbers as a column, all null where the model cannot know them."""
    return pl.Series([None] * n, dtype=pl.Float64) if values is None else pl.Series(values)


def null_unless(known: BoolArray, values: pl.Series) -> pl.Series:
    """Return values, null where the customer is not known."""
    return (
        values
        if known.all()
        else values.zip_with(pl.Series(known), pl.Series([None] * len(values), dtype=values.dtype))
    )


def quantiles_for(levels: Sequence[float]) -> list[float]:
    """Return the median and the ends of central intervals, ascending.

    Examples
    --------
    >>> quantiles_for([80])
    [0.1, 0.5, 0.9]
    """
    ends = {round((100 + side * level) / 200, 6) for level in as_levels(levels) for side in (-1, 1)}
    return sorted(ends | {0.5})


def forecast_table(panel: Panel, values: FloatArray, name: str, levels: Sequence[float]) -> pl.DataFrame:
    """Return forecasts as a table: ``unique_id``, ``ds``, the median by the model's name, its intervals.

    With several targets a column ``target`` follows ``ds``. The values, at the quantiles of `quantiles_for`,
    are of shape (n_series, h, n_targets, n_quantiles); NaN becomes null.
    """
    n, h, n_targets = values.shape[:3]
    wanted = quantiles_for(levels)
    owner = np.repeat(np.arange(n), h)
    times = panel.time_of(flat_ranges(panel.ends + 1, np.full(n, h)))
    parts = []
    for k in range(n_targets):
        columns: dict[str, object] = {"unique_id": panel.ids.gather(owner), "ds": times}
        if n_targets > 1:
            columns["target"] = pl.repeat(panel.targets[k], n * h, eager=True)
        flat = values[:, :, k].reshape(n * h, -1)
        columns[name] = pl.Series(flat[:, wanted.index(0.5)]).fill_nan(None)
        for level in sorted(as_levels(levels)):
            for side, word in ((-1, "lo"), (1, "hi")):
                column = flat[:, wanted.index(round((100 + side * level) / 200, 6))]
                columns[f"{name}-{word}-{level}"] = pl.Series(column).fill_nan(None)
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)


class _KnowsCustomers(Protocol):
    @property
    def log_(self) -> EventLog: ...

    def predict(
        self,
        horizons: Sequence[str | int],
        levels: Sequence[float],
        ids: Collection[object] | None,
    ) -> pl.DataFrame: ...


class CountModel(Protocol):
    """A fitted forecaster of events that says how many to expect."""

    @property
    def name(self) -> str:
        """As in tables."""

    @property
    def log_(self) -> EventLog:
        """The log up to the as-of date."""

    def predict_blocks(
        self, horizons: Sequence[int], levels: Sequence[float], ids: Collection[object] | None
    ) -> Iterator[pl.DataFrame]:
        """Answer in tables of some customers each."""


def expected_within(model: CountModel, answers: pl.DataFrame, ticks: Sequence[int]) -> FloatArray:
    """Return the expected events of a model's answers within so many ticks, shape (n, n_ticks).

    Raises
    ------
    ParameterError
        The model knows the next event alone.
    """
    counts = answers.select(f"expected_events_{end}t" for end in ticks)
    if answers.height and counts.null_count().sum_horizontal()[0]:
        raise ParameterError(
            f"{model.name} knows when the next event comes, not how many follow; expected the mixture, the "
            "prior, BG/NBD, MBG/NBD or Pareto/NBD"
        )
    return counts.to_numpy()


def chances_within(model: CountModel, answers: pl.DataFrame, ticks: int) -> FloatArray:
    """Return the chances of a return of a model's answers within so many ticks, shape (n,).

    Raises
    ------
    ParameterError
        The model gives none.
    """
    chances = answers[f"p_return_{ticks}t"]
    if answers.height and chances.null_count():
        raise ParameterError(
            f"{model.name} gives no chances of a return; expected a network, the prior, BG/NBD, MBG/NBD or "
            "Pareto/NBD"
        )
    return chances.cast(pl.Float64).to_numpy()


class _KnowsSeries(Protocol):
    @property
    def panel_(self) -> Panel: ...

    def predict(
        self, panel: Panel | None, *, horizon: int | None, levels: Sequence[float]
    ) -> pl.DataFrame: ...


class CustomerBlocks:
    """Forecasters of events that answer for a part of their customers at a time."""

    def predict_blocks(
        self: _KnowsCustomers,
        horizons: Sequence[str | int] = ("7d", "30d", "90d"),
        levels: Sequence[float] = (50, 80, 95),
        ids: Collection[object] | None = None,
        *,
        size: int = CUSTOMERS,
    ) -> Iterator[pl.DataFrame]:
        """Answer like ``predict``, in tables of at most ``size`` customers each, one after the other.

        Memory does not grow with the number of customers, if each table is done with before the next one is
        asked for, as `foretell.write_tables` does.
        """
        size = check_whole("size", size)
        asked = as_ids(self.log_.ids if ids is None else ids) or []
        return (
            self.predict(horizons, levels, asked[begin : begin + size])
            for begin in range(0, len(asked), size)
        )


class SeriesBlocks:
    """Forecasters of series that answer for a part of a panel at a time."""

    def predict_blocks(
        self: _KnowsSeries,
        panel: Panel | None = None,
        *,
        horizon: int | None = None,
        levels: Sequence[float] = (50, 80, 95),
        size: int = SERIES,
    ) -> Iterator[pl.DataFrame]:
        """Forecast like ``predict``, in tables of at most ``size`` series each, one after the other."""
        size = check_whole("size", size)
        whole = self.panel_ if panel is None else panel
        return (
            self.predict(
                whole.take(np.arange(begin, min(begin + size, whole.n_series))),
                horizon=horizon,
                levels=levels,
            )
            for begin in range(0, whole.n_series, size)
        )
