"""``EventForecaster(model="auto")``: the network, statistics, rules, or a blend, by an inner backtest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.baselines import EVENT_BASELINES
from foretell.core.contracts import EventModel, Outlook
from foretell.core.state import Described
from foretell.data.holdout import hold_out
from foretell.data.log import EventLog
from foretell.errors import EmptyLogError
from foretell.events.simulation import Expected
from foretell.stats import metrics
from foretell.stats.blending import blend_weights, check_weights

FloatArray = npt.NDArray[np.float64]

NETWORK = "network"
# With fewer customers the network has too little to learn from.
LEAST_CUSTOMERS = 200
# Share of the observed time that is held back to choose by.
_HELD_BACK = 0.25


class _Chances(Protocol):
    def return_chances(self, log: EventLog, ticks: Any) -> FloatArray | None: ...


@dataclasses.dataclass(frozen=True)
class EventChoice:
    """What an inner backtest chose.

    Attributes
    ----------
    counts : dict of str to float
        Convex weights for expected numbers of events, by model; ``"network"`` is ours.
    chances : dict of str to float
        Convex weights for probabilities, among the models that tell them.
    losses : dict of str to float
        RMSE of the events counted in the held-back part, of each model and of the ``"blend"``.
    too_little_data : bool
        There were too few customers for the network: it was not trained and has no weight, and what only it
        can tell, such as the date of the next event, is the anchor's.
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
        periods: Sequence[int] | npt.NDArray[np.int64],
        rows: Any = None,
    ) -> Expected:
        """Return blended expected events and totals by period.

        Parameters
        ----------
        ours : Expected
            The network's, of the customers in ``rows``.
        log : EventLog
        edges, periods : sequence of int
            Ticks after the log's end; ends of the periods, the last of which may be shorter.
        rows : int array, shape (n,), optional
            The customers' places in the log, -1 for those that it does not know, who keep the network's; by
            default all customers.
        """
        counts, cohorts = {}, {}
        for name, model in self._weighted(self.counts):
            counts[name] = np.stack([_ask(model, log, int(edge)).counts for edge in edges], axis=1)
            if len(periods):
                last, width = int(periods[-1]), int(periods[0])
                cohorts[name] = _array(model.outlook(log, last, period=width, window=last).cohort)
        cohort = _mixed(self.counts, ours.cohort, cohorts) if len(periods) else ours.cohort
        return Expected(_mixed(self.counts, ours.counts, counts, rows), cohort)

    def p_return(self, ours: FloatArray, log: EventLog, ticks: Any, rows: Any = None) -> FloatArray:
        """Return blended chances of a return within some ticks, shape (n, n_ticks)."""
        told = {name: _chances(model, log, ticks) for name, model in self._weighted(self.chances)}
        return _mixed(self.chances, ours, told, rows)

    def p_active(self, ours: FloatArray, log: EventLog, rows: Any = None) -> FloatArray:
        """Return blended chances of being active, shape (n,)."""
        told = {name: _array(_ask(model, log, 1).p_active) for name, model in self._weighted(self.chances)}
        return _mixed(self.chances, ours, told, rows)

    def table(
        self, table: pl.DataFrame, log: EventLog, horizons: Sequence[tuple[str, int]], rows: Any
    ) -> pl.DataFrame:
        """Return the answer table with blended probabilities."""
        columns = [pl.Series("p_active", self.p_active(table["p_active"].to_numpy(), log, rows))]
        if horizons:
            names = [f"p_return_{name}" for name, _ in horizons]
            ours = table.select(names).to_numpy()
            found = self.p_return(ours, log, [ticks for _, ticks in horizons], rows)
            columns += [pl.Series(name, found[:, k]) for k, name in enumerate(names)]
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
            self, statistics={name: EVENT_BASELINES[name]().fit(log) for name in self.statistics}
        )

    def describe(self) -> dict[str, Any]:
        """Return what JSON keeps of it."""
        kept = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        params = {name: getattr(model, "params_", None) for name, model in self.statistics.items()}
        return kept | {"statistics": {name: given and list(given) for name, given in params.items()}}

    @classmethod
    def from_description(cls, kept: Described) -> EventChoice:
        """Return the choice that `describe` described."""
        statistics = {
            name: EVENT_BASELINES[name].of_params(params) for name, params in kept["statistics"].items()
        }
        for weights in (kept["counts"], kept["chances"]):
            check_weights(weights, {NETWORK, *statistics})
        return cls(
            kept["counts"], kept["chances"], dict(kept["losses"]), bool(kept["too_little_data"]), statistics
        )

    def _weighted(self, weights: dict[str, float]) -> list[tuple[str, EventModel]]:
        return [(name, self.statistics[name]) for name in weights if name != NETWORK]


def choose(log: EventLog, network: EventModel | None) -> EventChoice:
    """Hold back the last quarter of a log, and choose by it.

    Parameters
    ----------
    log : EventLog
    network : EventModel or None
        An unfitted network; None where there is too little for it to learn from.
    """
    names = list(dict.fromkeys(model.name.lower() for model in EVENT_BASELINES.values()))
    candidates: dict[str, Any] = {name: EVENT_BASELINES[name]() for name in names}
    if network is not None:
        candidates[NETWORK] = network
    horizon = max(round(_HELD_BACK * (log.as_of - int(log.first.min()))), 1)
    try:
        held = hold_out(log, log.as_of - horizon, horizon, horizon)
        said = {name: _ask(model.fit(held.train), held.train, horizon) for name, model in candidates.items()}
    except EmptyLogError:  # nobody came back so early: nothing to choose by
        only = "mbg/nbd" if network is None else NETWORK
        statistics = {} if only == NETWORK else {only: EVENT_BASELINES[only]().fit(log)}
        return EventChoice({only: 1.0}, {only: 1.0}, {}, network is None, statistics)
    told = {name: one.counts for name, one in said.items()}
    counts = blend_weights(lambda found: (held.count - found) ** 2, told)
    returned = held.next_event <= held.end
    sure = {name: one.p_return for name, one in said.items() if one.p_return is not None}
    chances = blend_weights(lambda found: (returned - found) ** 2, sure)
    losses = {name: metrics.rmse(held.count, found) for name, found in told.items()}
    blended = np.sum([share * told[name] for name, share in counts.items()], axis=0)
    losses["blend"] = metrics.rmse(held.count, blended)
    used = [name for name in names if name in counts or name in chances]
    fitted = {name: EVENT_BASELINES[name]().fit(log) for name in used}
    return EventChoice(counts, chances, losses, network is None, fitted)


def _ask(model: EventModel, log: EventLog, horizon: int) -> Outlook:
    return model.outlook(log, horizon, period=horizon, window=horizon)


def _chances(model: Any, log: EventLog, ticks: Any) -> FloatArray:
    asked: _Chances = model
    return _array(asked.return_chances(log, np.asarray(ticks)))


def _array(values: Any) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _mixed(
    weights: dict[str, float], ours: FloatArray, told: dict[str, FloatArray], rows: Any = None
) -> FloatArray:
    """Return the weighted mean; customers that the log does not know (row -1) keep ours."""
    if rows is not None:
        told = {name: found[rows] for name, found in told.items()}
    shares = [share * told[name] for name, share in weights.items() if name != NETWORK]
    blended: FloatArray = weights.get(NETWORK, 0.0) * ours + sum(shares)
    if rows is not None and (rows < 0).any():
        blended[rows < 0] = ours[rows < 0]
    return blended
