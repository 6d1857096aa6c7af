"""What every forecaster of events answers about money."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import polars as pl

from foretell.data.tables import CountModel, CustomerBlocks


class Spending(CustomerBlocks):
    """Forecasters of events that also say what visits are worth, where the log has a mark that does."""

    def predict_spend(
        self: CountModel,
        horizons: Sequence[str | int] = ("30d", "90d"),
        levels: Sequence[float] = (80,),
        ids: Collection[object] | None = None,
        *,
        mark: str = "amount",
    ) -> pl.DataFrame:
        """Forecast what customers will spend.

        The number of visits is that of `predict`; amounts are those of a Gamma-Gamma model that forgets
        slowly, see the page on value. Intervals hold chance in both, and how little is known of a
        customer's amounts.

        Parameters
        ----------
        horizons : sequence of str or int
            Such as ``"90d"``.
        levels : sequence of float
            Percentages of the central intervals.
        ids : collection, optional
            Customers, in this order; by default all.
        mark : str
            The log's mark that is an amount, read with ``marks=["amount"]``.

        Returns
        -------
        polars.DataFrame
            ``unique_id``, ``as_of``, ``n_events``; ``spend_per_visit``, the mean to expect of one visit;
            ``p_spend_30d``, the chance that anything is spent; ``expected_spend_30d``, and its intervals
            ``expected_spend_30d-lo-80``, ``expected_spend_30d-hi-80`` ….

        Raises
        ------
        DataError
            The log has no such mark.
        ParameterError
            The model says no chances or numbers of visits.

        Examples
        --------
        >>> import foretell as ft
        >>> rows = ft.datasets.load_cdnow(sample=True)
        >>> log = ft.read_events(rows, id="customer_id", time="date", marks=["amount"])
        >>> model = ft.baselines.ParetoNBD().fit(log, as_of="1997-09-30")
        >>> model.predict_spend(["90d"]).columns[3:]
        ['spend_per_visit', 'p_spend_90d', 'expected_spend_90d', 'expected_spend_90d-lo-80', \
'expected_spend_90d-hi-80']
        """
        from foretell.spend.forecasts import predict_spend  # noqa: PLC0415  # its distributions are slow to load

        return predict_spend(self, horizons, levels, ids, mark)

    def predict_value(
        self: CountModel,
        horizon: str | int = "1y",
        *,
        discount: float = 0.1,
        ids: Collection[object] | None = None,
        mark: str = "amount",
    ) -> pl.DataFrame:
        """Return what customers' visits to come are worth today: their lifetime value up to a horizon.

        Parameters
        ----------
        horizon : str or int
            How far ahead visits count, such as ``"1y"``: what lies farther away is not known.
        discount : float
            Interest of a year: a visit in a year is worth ``1 / (1 + discount)`` of one today.
        ids : collection, optional
        mark : str
            The log's mark that is an amount; a margin, if the value is to be a profit.

        Returns
        -------
        polars.DataFrame
            ``unique_id``, ``as_of``, ``n_events``, ``spend_per_visit``, ``expected_events``, and ``value``.

        Examples
        --------
        >>> import foretell as ft
        >>> rows = ft.datasets.load_cdnow(sample=True)
        >>> log = ft.read_events(rows, id="customer_id", time="date", marks=["amount"])
        >>> model = ft.baselines.ParetoNBD().fit(log, as_of="1997-09-30")
        >>> model.predict_value("1y").columns[3:]
        ['spend_per_visit', 'expected_events', 'value']
        """
        from foretell.spend.forecasts import predict_value  # noqa: PLC0415

        return predict_value(self, horizon, discount, ids, mark)

    def shortlist(
        self: CountModel, top: int | None = 200, horizon: str | int = "30d", **how: Any
    ) -> pl.DataFrame:
        """List the customers worth writing to now: those by whom a contact may win most visits.

        A customer's visits to win are those of the usual rhythm within the horizon, if they have not left for
        good, less those expected anyway; times how late they are. It is a ranking, not the effect of a
        letter: only a trial, in which some of the list are left alone by lot, measures that.

        Parameters
        ----------
        top : int, optional
            No more customers than that; None gives all by whom anything may be won.
        horizon : str or int
            Time in which a contact works, such as ``"30d"``.
        where : sequence of str
            Conditions that all have to hold of the columns, such as ``"n_events>=3"`` or ``"group=north"``.
        min_chance : float
            Leave out who comes back within twelve horizons with a smaller chance.
        value : str, optional
            Mark that says what a visit is worth; by default ``"amount"`` if the log has it; ``"visits"``
            ranks by visits alone.
        language : {"en", "zh"}
            Of the reasons.

        Returns
        -------
        polars.DataFrame
            The best first: ``unique_id``, ``n_events``, ``last_event``, ``silent_days``, ``usual_gap_days``
            (null after one visit), ``overdue``, ``p_return_30d``, ``expected_events_30d``, ``p_return_360d``,
            ``visits_to_win``; ``group`` of the last visit, if the log has groups; ``value_per_visit`` and
            ``value_to_win``, if it is known; ``reason`` in words.

        Examples
        --------
        >>> import foretell as ft
        >>> log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
        >>> model = ft.baselines.ParetoNBD().fit(log, as_of="1997-09-30")
        >>> row = model.shortlist(top=1).row(0, named=True)
        >>> row["unique_id"], row["reason"]
        (19060, '16 visits, usually every 13 days, silent for 38 days, later than 91 % of the returns to \
expect. 58 % of such customers come back within 30 days on their own.')
        """
        from foretell.spend.shortlist import ShortlistConfig, shortlist  # noqa: PLC0415  # it asks for tables

        return shortlist(self, ShortlistConfig(top, horizon, **how))
