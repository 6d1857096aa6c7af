"""Simulated futures of all customers, and what is read off them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.time import period_edges
from foretell.data.log import EventLog


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Simulated futures; see `EventForecaster.simulate`.

    Attributes
    ----------
    log : EventLog
    horizon, paths : int
    customer, path, tick : int64 arrays, shape (n_simulated_events,)
    """

    log: EventLog
    horizon: int
    paths: int
    customer: npt.NDArray[np.int64]
    path: npt.NDArray[np.int64]
    tick: npt.NDArray[np.int64]

    def to_polars(self) -> pl.DataFrame:
        """Return one row per simulated event: ``unique_id``, ``path``, ``ds``."""
        return pl.DataFrame(
            {
                "unique_id": self.log.ids.gather(self.customer),
                "path": self.path,
                "ds": self.log.time_of(self.tick),
            }
        )

    def counts(self) -> npt.NDArray[np.int64]:
        """Return the number of events of each customer in each path, shape (n_customers, paths)."""
        flat = np.bincount(
            self.customer * self.paths + self.path, minlength=self.log.n_customers * self.paths
        )
        return flat.reshape(self.log.n_customers, self.paths)

    def cohort(self, period: str | int = "7d", levels: Sequence[int] = (80,)) -> pl.DataFrame:
        """Return totals of all customers by period: ``ds``, ``foretell`` (the mean), ``foretell-lo-80`` …."""
        ends = period_edges(self.horizon, self.log.ticks_of(period))
        index = np.searchsorted(ends, self.tick - self.log.as_of)
        flat = np.bincount(index * self.paths + self.path, minlength=len(ends) * self.paths)
        totals = flat.reshape(len(ends), self.paths)
        starts = self.log.as_of + 1 + np.concatenate([[0], ends[:-1]])
        columns: dict[str, Any] = {"ds": self.log.time_of(starts), "foretell": totals.mean(axis=1)}
        for level in levels:
            columns[f"foretell-lo-{level}"] = np.quantile(totals, 0.5 - level / 200, axis=1)
            columns[f"foretell-hi-{level}"] = np.quantile(totals, 0.5 + level / 200, axis=1)
        return pl.DataFrame(columns)
