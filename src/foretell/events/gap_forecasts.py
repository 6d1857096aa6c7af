"""What every head can say: the distribution of each customer's next gap."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.constraints import as_quantiles
from foretell.data.log import EventLog
from foretell.data.tables import interval_tails, null_unless, quantile_table
from foretell.errors import ParameterError
from foretell.events.answers import class_chances, gap_lengths, next_event_moments, p_return, standing
from foretell.events.customers import CustomerForecaster
from foretell.events.heads.grid import GridNetwork
from foretell.prep.bins import Bins

FloatArray = npt.NDArray[np.float64]


class GapForecasts(CustomerForecaster):
    """Questions about the next gap."""

    def quantiles(self, levels: Sequence[float], ids: Collection[Any] | None = None) -> pl.DataFrame:
        """Return quantiles of the next event's date given a return: ``unique_id``, ``q0.1`` …."""
        self._check_fitted("model_")
        as_quantiles(levels)
        customers, states = self._chosen(ids)
        moments = next_event_moments(standing(self.model_, customers.log, states), list(levels))
        return quantile_table(customers, moments, levels)

    def predict_gap(
        self, levels: Sequence[float] = (80,), ids: Collection[Any] | None = None
    ) -> pl.DataFrame:
        """Forecast the gap after each customer's last event as it was seen at that event.

        Unlike `predict` it does not look at the silence since then: it is the forecast to hold against a gap
        whose end is known.

        Parameters
        ----------
        levels : sequence of int
            Percentages of the intervals.
        ids : collection, optional

        Returns
        -------
        polars.DataFrame
            ``unique_id``, ``last_event``, ``gap`` (the median in ticks, given a return), ``gap-lo-80`` ….
        """
        self._check_fitted("model_")
        customers, states = self._chosen(ids)
        log = customers.log
        lengths = gap_lengths(standing(self.model_, log, states), states.last, [0.5, *interval_tails(levels)])
        columns = {
            "unique_id": customers.ids,
            "last_event": null_unless(customers.known, log.time_of(states.last)),
            "gap": pl.Series(lengths[0]),
        }
        for k, level in enumerate(levels):
            columns[f"gap-lo-{level}"] = pl.Series(lengths[1 + 2 * k])
            columns[f"gap-hi-{level}"] = pl.Series(lengths[2 + 2 * k])
        return pl.DataFrame(columns)

    def predict_bins(
        self, bins: Bins | Sequence[float] | None = None, ids: Collection[Any] | None = None
    ) -> pl.DataFrame:
        """Return the probability of each class of the gap after a customer's last event.

        As in `predict_gap`, it is seen at the last event, not after the silence since then.

        Parameters
        ----------
        bins : Bins or sequence of float, optional
            Classes of gaps in ticks; by default those of the head ``"bins"``.
        ids : collection, optional

        Returns
        -------
        polars.DataFrame
            ``unique_id``, and a column for each class, such as ``[7, 14)``; of no return within the outer
            edges is what is missing to 1.
        """
        self._check_fitted("model_")
        network = self.model_.network
        if bins is None and network.kind != "bins":
            raise ParameterError(
                "bins=None; expected classes such as [0, 7, 14, 28, inf]: only the head 'bins' has its own"
            )
        own = network.edges if isinstance(network, GridNetwork) else ()
        given = own if bins is None else bins
        chosen = given if isinstance(given, Bins) else Bins(given)
        customers, states = self._chosen(ids)
        found = class_chances(standing(self.model_, customers.log, states), states.last, chosen)
        if found is None:
            raise ParameterError(
                "the head 'gap' forecasts a point, and gives no probabilities; expected head='bins', "
                "'hazard' or 'mixture'"
            )
        labels = [f"[{low:g}, {high:g})" for low, high in itertools.pairwise(chosen.edges)]
        return pl.DataFrame({"unique_id": customers.ids} | dict(zip(labels, found, strict=True)))

    def return_chances(
        self, log: EventLog, ticks: Sequence[int] | npt.NDArray[np.int64]
    ) -> FloatArray | None:
        """Return P(an event within so many ticks after the log's end), shape (n_customers, n_ticks).

        None of a head that forecasts no probabilities.
        """
        self._check_fitted("model_")
        at = standing(self.model_, log, self._states_of(log))
        chances = [chance for length in ticks if (chance := p_return(at, int(length))) is not None]
        if not chances:
            return None
        ours = np.stack(chances, axis=1)
        return ours if self.auto_ is None else self.auto_.p_return(ours, log, ticks)
