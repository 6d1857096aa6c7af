"""``EventForecaster(model="auto")``: prior, network and statistics, weighed by an inner backtest."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray, IntArray
from foretell.core.contracts import Arrays, Described, Outlook
from foretell.core.time import UNIT_SECONDS, interval_ticks
from foretell.data.holdout import Holdout, hold_out
from foretell.data.log import EventLog
from foretell.data.tables import YEARS_AHEAD, EventAnswers
from foretell.errors import EmptyLogError
from foretell.events.simulation import Expected
from foretell.nn.settings import LEAST_CUSTOMERS
from foretell.stats.blending import blend_weights, check_weights

if TYPE_CHECKING:
    from foretell.baselines.buy_till_you_die import BuyTillYouDie
    from foretell.baselines.statistic import EventFormulas
    from foretell.data.calendar import Calendar
    from foretell.events.calendar import CalendarEffect
    from foretell.events.horizon.forecaster import HorizonForecaster

NETWORK, PRIOR = "network", "prior"
# Each inner origin lies such a part of the observed time before its end, which is held back to choose by.
_PARTS: Final = (2, 3, 4, 6)
_DAYS: Final = np.unique(np.r_[1:29, np.geomspace(29, 365 * YEARS_AHEAD, 60).astype(np.int64)])

Statistic: TypeAlias = "EventFormulas[Any]"


def _makers() -> Mapping[str, type[Statistic]]:
    """Return what answers beside the network, which is imported where there is a choice."""
    from foretell.baselines import EVENT_BASELINES  # noqa: PLC0415
    from foretell.events.horizon.forecaster import HorizonForecaster  # noqa: PLC0415

    return {PRIOR: HorizonForecaster, **EVENT_BASELINES}


@dataclasses.dataclass(frozen=True)
class EventChoice:
    """Who answers, and by which weights.

    Attributes
    ----------
    counts : dict of str to float
        Convex weights for expected numbers of events, by model; ``"network"`` is the trained one.
    chances : dict of str to float
        Convex weights for probabilities and dates, among the models that know them.
    losses : dict of str to float
        RMSE of the events counted after the inner origins, relative to the prior's, of each model that was
        judged there and of the ``"blend"`` of them.
    too_little_data : bool
        There were too few customers for the network: it was not trained and has no weight, and what only it
        knows, such as simulated futures, is the anchor's.
    statistics : dict of str to forecaster
        The fitted models with a weight, besides the network.
    """

    counts: dict[str, float]
    chances: dict[str, float]
    losses: dict[str, float]
    too_little_data: bool
    statistics: Mapping[str, Statistic]

    def expected(
        self,
        ours: Expected,
        log: EventLog,
        edges: Sequence[int],
        periods: Sequence[int] | IntArray,
        rows: IntArray | None = None,
    ) -> Expected:
        """Return blended expected events up to some ticks after the log's end, and totals by period.

        Ours are the network's, of the customers in some rows of the log, by default all; the row of one that
        the log does not know is -1. The last period may be shorter.
        """
        counts = _mixed(self.counts, ours.counts, self._counts_within(log, edges, rows))
        if not len(periods):
            return Expected(counts, ours.cohort)
        cohorts = {
            name: np.diff(by_period.sum(axis=0), prepend=0.0)
            for name, by_period in self._counts_within(log, periods, None).items()
        }
        return Expected(counts, _mixed(self.counts, ours.cohort, cohorts))

    def p_return(
        self, ours: FloatArray, log: EventLog, ticks: Sequence[int] | IntArray, rows: IntArray | None = None
    ) -> FloatArray:
        """Return blended chances of a return within some ticks, shape (n, n_ticks)."""
        theirs = {
            name: statistic.return_chances(log, at, rows)
            for name, statistic, at in self._asked(self.chances, log, ticks)
        }
        return _mixed(self.chances, ours, theirs)

    def table(
        self, ours: EventAnswers, log: EventLog, ticks: Sequence[int], rows: IntArray | None = None
    ) -> EventAnswers:
        """Return answers with blended probabilities; their counts are blended already."""
        places = np.arange(log.n_customers) if rows is None else rows
        theirs = {
            name: statistic.answers(log, at, places)
            for name, statistic, at in self._asked(self.chances, log, ticks)
        }
        active = {name: one.p_active for name, one in theirs.items()}
        if PRIOR not in self.chances:  # as models of the first versions had it: the chance of not being lost
            outlooks = {name: self.statistics[name].outlook(log, 1, period=1, window=1) for name in theirs}
            active = {name: _array(one.p_active)[places] for name, one in outlooks.items()}
        p_active = _mixed(self.chances, ours.p_active, active)
        answers = ours._replace(p_active=p_active)
        if len(ticks):
            p_return = {name: one.p_return for name, one in theirs.items()}
            answers = answers._replace(p_return=_mixed(self.chances, ours.p_return, p_return))
        if PRIOR in theirs:  # only the two of them know
            both = {name: self.chances[name] for name in (NETWORK, PRIOR) if name in self.chances}
            shares = {name: share / sum(both.values()) for name, share in both.items()}
            overdue = _mixed(shares, ours.overdue, {PRIOR: theirs[PRIOR].overdue})
            answers = answers._replace(overdue=overdue)
        return answers

    def next_events(
        self,
        ours: FloatArray,
        p_returns: Callable[[IntArray], FloatArray | None],
        log: EventLog,
        levels: npt.ArrayLike,
        rows: IntArray | None = None,
        within: int | None = None,
    ) -> FloatArray:
        """Return quantiles of the next event's time given a return, in ticks after the log's end.

        They are those of the blended chances of a return, in any time or within some ticks, so that both
        agree; without the prior among them they stay ours. Shape (n_levels, n).
        """
        if self._prior is None or PRIOR not in self.chances:
            return ours
        ticks = _DAYS * (UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit])
        if within is not None:
            ticks = np.append(ticks[ticks < within], within)
        chances = self.p_return(_array(p_returns(ticks)), log, ticks, rows)
        return self._prior.moments(log, ticks, chances, _array(levels)[:, None] * chances[:, -1])

    def outlook(
        self,
        ours: Outlook,
        p_returns: Callable[[IntArray], FloatArray | None],
        log: EventLog,
        horizon: int,
        window: int,
    ) -> Outlook:
        """Return an outlook with blended probabilities; its counts are blended already.

        How the counts spread about what is expected is the prior's.
        """
        answers = EventAnswers(p_active=ours.p_active, p_return=_array(ours.p_return)[:, None])
        answers = self.table(answers, log, [window])
        interval, reached = ours.interval, None
        if PRIOR in self.chances:
            low, high = self.next_events(np.zeros(0), p_returns, log, [0.1, 0.9], within=horizon)
            interval = interval_ticks(np.minimum(low, horizon), np.minimum(high, horizon), log.as_of)
        if self._prior is not None:
            from foretell.events.horizon.counts import at_least  # noqa: PLC0415  # seldom wanted

            returned = self.p_return(_array(p_returns(np.array([horizon]))), log, [horizon])[:, 0]
            more = np.maximum(ours.counts / np.maximum(returned, 1e-12) - 1.0, 1e-6)
            reached = functools.partial(at_least, returned, more, np.exp(self._prior.log_shape(log)))
        return dataclasses.replace(
            ours,
            p_return=_array(answers.p_return)[:, 0],
            p_active=answers.p_active,
            interval=interval,
            at_least=reached,
        )

    def refitted(self, log: EventLog) -> EventChoice:
        """Return the same choice with its statistics fitted to another log."""
        return dataclasses.replace(
            self, statistics={name: _makers()[name]().fit(log) for name in self.statistics}
        )

    def moved(self, log: EventLog) -> EventChoice:
        """Return the same choice where the log has gone on: the prior looks at its shop again."""
        if PRIOR not in self.statistics:
            return self
        prior = _makers()[PRIOR]().fit(log)
        return dataclasses.replace(self, statistics={**self.statistics, PRIOR: prior})

    def with_calendar(self, calendar: Calendar | None) -> EventChoice:
        """Return the same choice, whose prior answers of the days of another calendar, where there is one."""
        if self._prior is None or calendar is None:
            return self
        prior = copy.copy(self._prior).with_calendar(calendar)
        return dataclasses.replace(self, statistics={**self.statistics, PRIOR: prior})

    def describe(self) -> Described:
        """Return what JSON keeps of it."""
        params = {name: getattr(model, "params_", None) for name, model in self.statistics.items()}
        statistics = {name: values and list(values) for name, values in params.items()}
        calendar = None if self._prior is None else self._prior.shop_.clock.described_effect
        speeds = {name: getattr(model, "speeds_", None) for name, model in self.statistics.items()}
        known = {name: one.describe() for name, one in speeds.items() if one is not None}
        return {**vars(self), "statistics": statistics, "calendar": calendar, "speeds": known}

    def arrays(self) -> Arrays:
        """Return what the prior has learned, under names of its own."""
        learned = {} if self._prior is None else self._prior.learned()
        return {f"{_ARRAYS}{name}": values for name, values in learned.items()}

    @classmethod
    def from_description(cls, described: Described, arrays: Arrays, unit: str) -> EventChoice:
        """Return the choice that `describe` and `arrays` described."""
        learned = {k.removeprefix(_ARRAYS): values for k, values in arrays.items() if k.startswith(_ARRAYS)}
        makers = _makers()
        statistics = {
            name: makers[name].of_params(params) for name, params in described["statistics"].items()
        }
        for name, factors in described.get("speeds", {}).items():
            cast("BuyTillYouDie", statistics[name]).recall_speeds(factors)
        if PRIOR in statistics:
            calendar = described.get("calendar")
            cast("HorizonForecaster", statistics[PRIOR]).recall(learned, unit, calendar)
        counts, chances = described["counts"], described["chances"]
        for weights in (counts, chances):
            check_weights(weights, {NETWORK, *statistics})
        losses, too_little_data = dict(described["losses"]), bool(described["too_little_data"])
        return cls(counts, chances, losses, too_little_data, statistics)

    def report(self) -> str:
        """Return who answers what, and why, in words."""
        lines = [
            f"{what}: " + ", ".join(f"{name} {share:.0%}" for name, share in weights.items())
            for what, weights in (("counts", self.counts), ("chances and dates", self.chances))
        ]
        if self.losses:
            judged = ", ".join(f"{name} {loss:.3f}" for name, loss in self.losses.items())
            lines.append(f"RMSE after earlier origins, relative to the prior's: {judged}")
        else:
            lines.append("nothing could be held back to judge by")
        if self.too_little_data:
            lines.append(f"the network was not trained: fewer than {LEAST_CUSTOMERS} customers")
        return "\n".join(lines)

    @property
    def calendar_effect(self) -> CalendarEffect | None:
        """How many more visits the days of a calendar bring, by the prior."""
        return None if self._prior is None else self._prior.shop_.clock.effect

    @property
    def _prior(self) -> HorizonForecaster | None:
        return cast("HorizonForecaster | None", self.statistics.get(PRIOR))

    def _counts_within(
        self, log: EventLog, ticks: npt.ArrayLike, rows: IntArray | None
    ) -> dict[str, FloatArray]:
        return {
            name: statistic.counts_within(log, at, rows)
            for name, statistic, at in self._asked(self.counts, log, ticks)
        }

    def _asked(
        self, weights: Mapping[str, float], log: EventLog, ticks: npt.ArrayLike
    ) -> Iterator[tuple[str, Statistic, npt.ArrayLike]]:
        """Yield who answers beside the network, and for which ticks to ask them."""
        prior = self._prior
        open_ticks = ticks
        if prior is not None and (prior.shop_.clock.closes or self.calendar_effect is not None):
            # Statistics know no calendar: they are asked for as much time as the shop is open, and busy.
            day = UNIT_SECONDS["day"] // UNIT_SECONDS[log.unit]
            open_ticks = prior.shop_.clock.ahead(log.as_of, ticks) * day
        for name in weights:
            if name != NETWORK:
                yield name, self.statistics[name], ticks if name == PRIOR else open_ticks


_ARRAYS: Final = "prior."


def choose(log: EventLog, *, with_network: bool) -> EventChoice:
    """Weigh the models by inner origins of a log.

    Prior and network get equal shares: at inner origins neither was found to tell which of the two will be
    better. A statistic or rule takes a part of both where it would have made the prior better, by more than
    chance over the customers; what it is given is at most half.
    """
    judged = _judged(log)
    losses, weights = {}, {}
    for what in ("counts", "chances"):
        weights[what] = {PRIOR: 1.0} if judged is None else judged.weights(what)
    if judged is not None:
        losses = judged.losses(weights["counts"])
    used = dict.fromkeys([*weights["counts"], *weights["chances"]])
    if with_network:
        for shares in weights.values():
            shares[NETWORK] = shares[PRIOR] = shares[PRIOR] / 2
    fitted = {name: _makers()[name]().fit(log) for name in used}
    return EventChoice(weights["counts"], weights["chances"], losses, not with_network, fitted)


@dataclasses.dataclass(frozen=True)
class _Judged:
    """What came after some inner origins, and what the models had said; customers one after the other.

    Attributes
    ----------
    customer : array, shape (n,)
        Rows of the log.
    actual : dict of str to array, shape (n,)
        The number of events, and whether there was any.
    forecasts : dict of dicts of str to array, shape (n,)
        By what is forecast, and by model.
    weight : dict of str to array, shape (n,)
        By which squared errors are multiplied, so that the prior's have a mean of 1 at each origin.
    """

    customer: IntArray
    actual: dict[str, FloatArray]
    forecasts: dict[str, dict[str, FloatArray]]
    weight: dict[str, FloatArray]

    def weights(self, what: str) -> dict[str, float]:
        """Return the convex weights of the models that know it."""
        customers, place = np.unique(self.customer, return_inverse=True)
        actual, weight = self.actual[what], self.weight[what]

        def losses(forecast: FloatArray) -> FloatArray:
            # A customer is judged by all origins at once: they are not independent.
            return np.bincount(place, weight * (actual - forecast) ** 2, len(customers)).astype(np.float64)

        return blend_weights(losses, self.forecasts[what], start={PRIOR: 1.0})

    def losses(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return the relative RMSE of the models' counts, and of their blend."""
        forecasts = dict(self.forecasts["counts"])
        forecasts["blend"] = np.sum([share * forecasts[name] for name, share in weights.items()], axis=0)
        actual, weight = self.actual["counts"], self.weight["counts"]
        return {
            name: float(np.sqrt(np.average((actual - forecast) ** 2 * weight)))
            for name, forecast in forecasts.items()
        }


def _judged(log: EventLog) -> _Judged | None:
    """Return how prior, statistics and rules would have done after inner origins; None without any."""
    span = log.as_of - int(log.first.min())
    held_out = [one for part in _PARTS if (one := _held_out(log, max(span // part, 1))) is not None]
    if not held_out:
        return None
    # Some have two spellings.
    makers = {maker: name for name, maker in reversed(list(_makers().items()))}
    names = list(reversed(makers.values()))
    answers = [
        {name: _ask(maker().fit(one.train), one) for maker, name in makers.items()} for one in held_out
    ]
    counts = [_array(one.count) for one in held_out]
    returned = [_array(one.next_event <= one.end) for one in held_out]
    actual = {"counts": np.concatenate(counts), "chances": np.concatenate(returned)}
    forecasts = {
        "counts": {name: np.concatenate([one[name].counts for one in answers]) for name in names},
        "chances": {
            name: np.concatenate([_array(one[name].p_return) for one in answers])
            for name in names
            if answers[0][name].p_return is not None
        },
    }
    origin = np.repeat(np.arange(len(counts)), [len(count) for count in counts])
    weight = {}
    for what, values in actual.items():
        squares = (values - forecasts[what][PRIOR]) ** 2
        mean = np.bincount(origin, squares) / np.bincount(origin)
        weight[what] = 1.0 / np.maximum(mean, 1e-12)[origin]
    customers = [log.ids.search_sorted(one.train.ids).to_numpy() for one in held_out]
    return _Judged(np.concatenate(customers).astype(np.int64), actual, forecasts, weight)


def _held_out(log: EventLog, ahead: int) -> Holdout | None:
    try:
        held_out = hold_out(log, log.as_of - ahead, ahead, ahead)
    except EmptyLogError:
        return None
    train = held_out.train
    return held_out if train.n_events > train.n_customers else None  # without a repeat nothing is fitted


def _ask(model: Statistic, held_out: Holdout) -> Outlook:
    ahead = held_out.end - held_out.cutoff
    return model.outlook(held_out.train, ahead, period=ahead, window=ahead)


def _array(values: npt.ArrayLike | None) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _mixed(
    weights: Mapping[str, float], ours: npt.ArrayLike | None, theirs: Mapping[str, FloatArray | None]
) -> FloatArray:
    """Return the weighted mean."""
    blended = sum(weights[name] * _array(values) for name, values in theirs.items())
    share = weights.get(NETWORK, 0.0)
    return _array(blended if share == 0.0 else blended + share * _array(ours))
