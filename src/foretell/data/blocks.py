"""Answers by blocks of customers or series: tables of which one at a time is in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, Protocol

import numpy as np
import polars as pl

from foretell.core.constraints import as_ids, check_whole
from foretell.data.log import EventLog
from foretell.data.panel import Panel

CUSTOMERS: Final = 50_000
SERIES: Final = 4_096


class _KnowsCustomers(Protocol):
    @property
    def log_(self) -> EventLog: ...

    def predict(
        self,
        horizons: Sequence[str | int],
        levels: Sequence[float],
        ids: Collection[object] | None,
    ) -> pl.DataFrame: ...


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
