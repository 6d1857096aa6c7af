"""``EventForecaster(model="auto")``: the network, statistics, rules, or a blend, by an inner backtest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray, IntArray
from foretell.core.contracts import Described, EventModel, Outlook
from foretell.data.holdout import hold_out
from foretell.data.log import EventLog
from foretell.errors import EmptyLogError
from foretell.events.simulation import Expected
from foretell.stats import metrics
from foretell.stats.blending import blend_weights, check_weights

if TYPE_CHECKING:
    from foretell.baselines.statistic import EventStatistic

NETWORK = "network"
# With fewer customers the network has too little to learn from.
LEAST_CUSTOMERS = 200
# Share of the observed time that is held back to choose by.
_HELD_BACK = 0.25


def _baselines() -> Mapping[str, type[EventStatistic]]:
    """Return the statistics and rules, which are imported where there is a choice among them."""
    from foretell.baselines import EVENT_BASELINES  # noqa: PLC0415

    return EVENT_BASELINES


class _Chances(Protocol):
    def return_chances(self, log: EventLog, ticks: IntArray) -> FloatArray | None: ...


@dataclasses.dataclass(frozen=True)
class EventChoice:
    """What an inner backtest chose.

    Attributes
    ----------
    counts : dict of str to float
        Convex weights for expected numbers of events, by model; ``"network"`` is ours.
    chances : dict of str to float
        Convex weights for probabilities, among the models that know them.
    losses : dict of str to float
        RMSE of the events counted in the held-back part, of each model and of the ``"blend"``.
    too_little_data : bool
        There were too few customers for the network: it was not trained and has no weight, and what only it
        knows, such as the date of the next event, is the anchor's.
    statistics : dict of str to EventModel
        The fitted models with a weight, besides the network.
    """

    counts: dict[str, float]
    chances: dict[str, float]
    losses: dict[str, float]
    too_little_data: bool
    statistics: Mapping[str, EventModel]

    def expected(
        self,
        ours: Expected,
        log: EventLog,
        edges: Sequence[int],
        periods: Sequence[int] | IntArray,
        rows: IntArray | None = None,
    ) -> Expected:
        """Return blended expected events up to some ticks after the log's end, and totals by period.

        Ours are the network's, of the customers in some rows of the log; those that it does not know, of row
        -1, keep them. By default they are all customers. The last period may be shorter.
        """
        counts, cohorts = {}, {}
        for name, model in self._weighted(self.counts):
            counts[name] = np.stack([_ask(model, log, int(edge)).counts for edge in edges], axis=1)
            if len(periods):
                last, width = int(periods[-1]), int(periods[0])
                cohorts[name] = _array(model.outlook(log, last, period=width, window=last).cohort)
        cohort = _mixed(self.counts, ours.cohort, cohorts) if len(periods) else ours.cohort
        return Expected(_mixed(self.counts, ours.counts, counts, rows), cohort)

    def p_return(
        self, ours: FloatArray, log: EventLog, ticks: Sequence[int] | IntArray, rows: IntArray | None = None
    ) -> FloatArray:
        """Return blended chances of a return within some ticks, shape (n, n_ticks)."""
        theirs = {
            name: _array(cast("_Chances", model).return_chances(log, np.asarray(ticks)))
            for name, model in self._weighted(self.chances)
        }
        return _mixed(self.chances, ours, theirs, rows)

    def p_active(self, ours: FloatArray, log: EventLog, rows: IntArray | None = None) -> FloatArray:
        """Return blended chances of being active, shape (n,)."""
        theirs = {name: _array(_ask(model, log, 1).p_active) for name, model in self._weighted(self.chances)}
        return _mixed(self.chances, ours, theirs, rows)

    def table(
        self, table: pl.DataFrame, log: EventLog, horizons: Sequence[tuple[str, int]], rows: IntArray
    ) -> pl.DataFrame:
        """Return the answer table with blended probabilities."""
        columns = [pl.Series("p_active", self.p_active(table["p_active"].to_numpy(), log, rows))]
        if horizons:
            names = [f"p_return_{name}" for name, _ in horizons]
            ours = table.select(names).to_numpy()
            chances = self.p_return(ours, log, [ticks for _, ticks in horizons], rows)
            columns += [pl.Series(name, chances[:, k]) for k, name in enumerate(names)]
        return table.with_columns(columns)

    def outlook(self, ours: Outlook, log: EventLog, window: int) -> Outlook:
        """Return an outlook with blended probabilities; its counts are blended already."""
        return dataclasses.replace(
            ours,
            p_return=self.p_return(_array(ours.p_return)[:, None], log, [window])[:, 0],
            p_active=self.p_active(_array(ours.p_active), log),
        )

    def refitted(self, log: EventLog) -> EventChoice:
        """Return the same choice with its statistics fitted to another log."""
        return dataclasses.replace(
            self, statistics={name: _baselines()[name]().fit(log) for name in self.statistics}
        )

    def describe(self) -> Described:
        """Return what JSON keeps of it."""
        params = {name: getattr(model, "params_", None) for name, model in self.statistics.items()}
        statistics = {name: values and list(values) for name, values in params.items()}
        return {**vars(self), "statistics": statistics}

    @classmethod
    def from_description(cls, described: Described) -> EventChoice:
        """Return the choice that `describe` described."""
        statistics = {
            name: _baselines()[name].of_params(params) for name, params in described["statistics"].items()
        }
        counts, chances = described["counts"], described["chances"]
        for weights in (counts, chances):
            check_weights(weights, {NETWORK, *statistics})
        losses, too_little_data = dict(described["losses"]), bool(described["too_little_data"])
        return cls(counts, chances, losses, too_little_data, statistics)

    def _weighted(self, weights: dict[str, float]) -> list[tuple[str, EventModel]]:
        return [(name, self.statistics[name]) for name in weights if name != NETWORK]


def choose(log: EventLog, network: EventModel | None) -> EventChoice:
    """Hold back the last quarter of a log, and choose by it; without a network where there is too little."""
    names = list(dict.fromkeys(model.name.lower() for model in _baselines().values()))
    candidates: dict[str, EventModel] = {name: _baselines()[name]() for name in names}
    if network is not None:
        candidates[NETWORK] = network
    horizon = max(round(_HELD_BACK * (log.as_of - int(log.first.min()))), 1)
    try:
        held_out = hold_out(log, log.as_of - horizon, horizon, horizon)
        train = held_out.train
        outlooks = {name: _ask(model.fit(train), train, horizon) for name, model in candidates.items()}
    except EmptyLogError:  # nobody came back so early: nothing to choose by
        only = "mbg/nbd" if network is None else NETWORK
        statistics = {} if only == NETWORK else {only: _baselines()[only]().fit(log)}
        return EventChoice({only: 1.0}, {only: 1.0}, {}, network is None, statistics)
    expected = {name: outlook.counts for name, outlook in outlooks.items()}
    counts = blend_weights(lambda forecast: (held_out.count - forecast) ** 2, expected)
    returned = held_out.next_event <= held_out.end
    p_return = {name: outlook.p_return for name, outlook in outlooks.items() if outlook.p_return is not None}
    chances = blend_weights(lambda forecast: (returned - forecast) ** 2, p_return)
    losses = {name: metrics.rmse(held_out.count, forecast) for name, forecast in expected.items()}
    blended = np.sum([share * expected[name] for name, share in counts.items()], axis=0)
    losses["blend"] = metrics.rmse(held_out.count, blended)
    used = [name for name in names if name in counts or name in chances]
    fitted = {name: _baselines()[name]().fit(log) for name in used}
    return EventChoice(counts, chances, losses, network is None, fitted)


def _ask(model: EventModel, log: EventLog, horizon: int) -> Outlook:
    return model.outlook(log, horizon, period=horizon, window=horizon)


def _array(values: npt.ArrayLike | None) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _mixed(
    weights: dict[str, float],
    ours: FloatArray,
    theirs: dict[str, FloatArray],
    rows: IntArray | None = None,
) -> FloatArray:
    """Return the weighted mean; customers that the log does not know (row -1) keep ours."""
    if rows is not None:
        theirs = {name: values[rows] for name, values in theirs.items()}
    shares = [share * theirs[name] for name, share in weights.items() if name != NETWORK]
    blended: FloatArray = weights.get(NETWORK, 0.0) * ours + sum(shares)
    if rows is not None and (rows < 0).any():
        blended[rows < 0] = ours[rows < 0]
    return blended
