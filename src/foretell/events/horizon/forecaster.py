"""A forecaster of counts in any horizon: by the prior alone, or after further steps on the log itself."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.baselines.statistic import EventFormulas
from foretell.core import FloatArray, IntArray
from foretell.core.constraints import Whole, as_levels, check
from foretell.core.contracts import Arrays, Described, Outlook, State
from foretell.core.progress import Watch
from foretell.core.time import UNIT_SECONDS, interval_ticks, period_edges
from foretell.data.calendar import Calendar
from foretell.data.log import EventLog
from foretell.data.tables import asked_customers
from foretell.errors import DataError
from foretell.events.horizon.counts import CountCurves
from foretell.events.horizon.days import DayClock
from foretell.events.horizon.effects import Effects
from foretell.events.horizon.features import GRID, Float32Array, ShopSummary, Visits, inputs
from foretell.events.horizon.network import forward, read_weights
from foretell.events.horizon.rates import LOST, MEANS, RateClasses
from foretell.nn.arrays import one_thread

_BLOCK = 20_000  # customers whose inputs are in memory at once


class Standing(NamedTuple):
    """What is read of customers' histories: their curves, and the days ahead on the shop's clock.

    Attributes
    ----------
    curves : CountCurves
        Of the customers, and at the end of somebody who is new.
    overdue : array, shape (n + 1,)
    clock : DayClock
    as_of : int
    """

    curves: CountCurves
    overdue: FloatArray
    clock: DayClock
    as_of: int

    def at(self, places: IntArray) -> Standing:
        """Return those of some customers; -1 is a new one."""
        return self._replace(curves=self.curves.take(places), overdue=self.overdue[places])

    def days(self, ticks: FloatArray | IntArray) -> FloatArray:
        """Return the days of the clock in the ticks ahead."""
        return self.clock.ahead(self.as_of, np.asarray(ticks, dtype=np.int64))

    def moments(self, days: FloatArray) -> FloatArray:
        """Return when so many days of the clock have passed, in ticks after the as-of date."""
        per_day = UNIT_SECONDS["day"] // UNIT_SECONDS[self.clock.unit]
        ticks = np.arange(int(GRID[-1] * per_day * 1.3) + 400 * per_day)
        # Where the clock stands still, each moment of it comes first.
        passed = self.days(ticks) + 1e-9 * ticks
        return np.interp(days, passed, ticks.astype(np.float64))


class HorizonForecaster(EventFormulas[Standing]):
    """Forecast the number of visits in any horizon, directly: `EventForecaster` with ``model="prior"``.

    A network that has learned from simulated shops reads each customer's last gaps and silence, and a summary
    of the shop, and corrects a mixture of rate classes. There is nothing to train; a log is summarised in a
    second or two. All answers are read off one distribution of the number of visits, see the page on it.

    Attributes
    ----------
    shop_ : ShopSummary
        What was learned of the shop.
    weights_ : dict of arrays
        Of the network.
    """

    name: ClassVar[str] = "foretell, prior"
    is_ours: ClassVar[bool] = True
    saved_as = "events-horizon-alone"

    shop_: ShopSummary
    weights_: dict[str, Float32Array]
    _standing: Standing
    _asked: tuple[EventLog, Standing] | None = None  # of the last other log

    def fit(
        self,
        data: EventLog,
        *,
        as_of: object = None,
        warm_start: Any = None,
        progress: Watch[Any] = None,
    ) -> Self:
        """Summarise the shop by its log, up to a date; nothing later is looked at."""
        super().fit(data, as_of=as_of, warm_start=warm_start, progress=progress)
        return self._stand()

    def use(self, weights: dict[str, Float32Array]) -> Self:
        """Answer by other weights of the network."""
        self.weights_ = weights
        return self._stand()

    @property
    def visits(self) -> Visits:
        """The visits of the log."""
        return Visits.of(self.log_)

    @property
    def read_as(self) -> Described:
        """How the log was read."""
        return self._options

    def update(self, new_events: EventLog) -> Self:
        """Move to a later date by new events; the summary of the shop moves with it."""
        super().update(new_events)
        self.shop_ = ShopSummary.of(self.visits)
        return self._stand()

    def attach(self, data: EventLog) -> Self:
        """Take a log to answer about, read as the model's own was; nothing is learned from it."""
        super().attach(data)
        self.with_calendar(self.log_.calendar)
        return self._stand()

    def with_calendar(self, calendar: Calendar | None) -> Self:
        """Answer of the days of another calendar, where there is one."""
        self.shop_ = dataclasses.replace(self.shop_, clock=self.shop_.clock.moved(calendar))
        self._asked = None
        return self

    def predict_counts(
        self,
        horizon: str | int = "30d",
        levels: Sequence[float] = (80,),
        most: int = 3,
        ids: Collection[object] | None = None,
    ) -> pl.DataFrame:
        """Return the distribution of each customer's number of visits within a horizon.

        Parameters
        ----------
        horizon : str or int
        levels : sequence of float
            Percentages of the central intervals.
        most : int
            Up to which number chances are returned.
        ids : collection, optional

        Returns
        -------
        polars.DataFrame
            ``unique_id``, ``visits`` (expected), ``visits-lo-80``, ``visits-hi-80`` …, and the chances of 0,
            1, 2 … visits: ``p_0``, ``p_1`` …, the last one of so many or more: ``p_3+``.
        """
        self._check_fitted("log_")
        check("most", most, Whole())
        customers = asked_customers(self.log_, ids)
        standing = self._standing.at(customers.places)
        curves, days = standing.curves, standing.days(np.array([self.log_.ticks_of(horizon)]))
        columns: dict[str, Any] = {"unique_id": customers.ids, "visits": curves.expected(days)[:, 0]}
        for level in as_levels(levels):
            for side, sign in (("lo", -1), ("hi", 1)):
                columns[f"visits-{side}-{level}"] = curves.quantile(days[0], 0.5 + sign * level / 200)
        reached = [curves.at_least(days[0], k) for k in range(most + 1)]
        columns |= {f"p_{k}": reached[k] - reached[k + 1] for k in range(most)}
        return pl.DataFrame(columns | {f"p_{most}+": reached[most]})

    def log_shape(self, log: EventLog) -> FloatArray:
        """Return the logarithm of the shape of the visits after the next one, see `CountCurves`."""
        return self._read(log).curves.log_shape

    def moments(self, log: EventLog, ticks: IntArray, chances: FloatArray, wanted: FloatArray) -> FloatArray:
        """Return when a chance of a return is reached, in ticks after a log's end, on the clock of the shop.

        Parameters
        ----------
        ticks : array, shape (n_ticks,)
        chances : array, shape (n, n_ticks)
            Of a return within so many ticks.
        wanted : array, shape (n_levels, n)
        """
        standing = self._histories(log)
        days = np.concatenate([[0.0], standing.days(ticks)])
        reached = np.maximum.accumulate(np.pad(chances, ((0, 0), (1, 0))), axis=1)
        rows, moments, ends = np.arange(len(reached)), [], np.append(0, ticks)
        for chance in wanted:
            k = np.clip((reached < chance[:, None]).sum(axis=1), 1, len(ticks))
            low, high = reached[rows, k - 1], reached[rows, k]
            share = np.clip((chance - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)
            on_clock = standing.moments(days[k - 1] + share * (days[k] - days[k - 1]))
            # The clock reaches as far as the prior knows; years ahead its pauses do not matter.
            later = ends[k - 1] + share * (ends[k] - ends[k - 1])
            moments.append(np.where(days[k] <= GRID[-1], on_clock, later))
        return np.array(moments)

    def outlook(self, log: EventLog, horizon: int, *, period: int, window: int) -> Outlook:
        """Look ahead from the end of a log; see `Outlook`."""
        standing = self._read(log)
        curves = standing.curves
        totals = curves.expected(standing.days(period_edges(horizon, period))).sum(axis=0)
        days = standing.days(np.array([horizon, window]))
        lower, upper = standing.moments(curves.next_visit([0.1, 0.9], within=float(days[0])))
        return Outlook(
            expected=curves.expected(days[:1])[:, 0],
            cohort=np.diff(totals, prepend=0.0),
            p_return=curves.p_return(days[1:])[:, 0],
            p_active=curves.p_active,
            interval=interval_ticks(lower, np.minimum(upper, horizon), log.as_of),
            at_least=functools.partial(curves.at_least, float(days[0])),
        )

    def state(self) -> State:
        """Return the log and what was learned from it, as plain values."""
        state = super().state()
        clock = self.shop_.clock
        described = dict(state.described) | {"unit": clock.unit, "calendar": clock.described_effect}
        return dataclasses.replace(state, described=described, arrays=state.arrays | self.learned())

    def learned(self) -> Arrays:
        """Return what was learned from the log, as arrays."""
        shop = self.shop_
        learned: Arrays = {
            "clock": shop.clock.to_array(),
            "rates": shop.rates.weights,
            "facts": shop.facts,
            "weeks": shop.weeks,
            "scalars": np.array([shop.origin, shop.mean_log_gap]),
        }
        if shop.effects is not None:
            learned["effects"] = np.frombuffer(json.dumps(shop.effects.describe()).encode(), dtype=np.uint8)
        return learned | {f"weights.{name}": value for name, value in self.weights_.items()}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted model that `state` described."""
        model: Self = super().from_state(state)
        model.recall(state.arrays, state.described["unit"], state.described.get("calendar"))
        return model if state.data is None else model._stand()

    def recall(self, arrays: Mapping[str, npt.NDArray[Any]], unit: str, calendar: Described | None) -> Self:
        """Take what `learned` returned, and what was described of the effect of a calendar."""
        if arrays["rates"].shape != (len(MEANS), len(LOST)) or arrays["clock"].shape[0] < 20:
            raise DataError("the summary of the shop has another shape than this version of foretell reads")
        self.shop_ = ShopSummary(
            DayClock.of_array(arrays["clock"], unit, calendar),
            RateClasses(arrays["rates"]),
            arrays["facts"],
            int(arrays["scalars"][0]),
            float(arrays["scalars"][1]),
            arrays["weeks"],
            _effects(arrays["effects"]) if "effects" in arrays else None,
        )
        prefix = "weights."
        self.weights_ = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        return self

    def _learn(self, data: EventLog) -> None:
        self.shop_ = ShopSummary.of(Visits.of(data))
        self.weights_ = prior()

    def _stand(self) -> Self:
        self._asked = None
        self._standing = self._standing_of(self.log_)
        return self

    def _histories(self, log: EventLog) -> Standing:
        self._check_fitted("shop_")
        if log is vars(self).get("log_"):
            return self._standing
        if self._asked is None or log is not self._asked[0]:
            self._asked = log, self._standing_of(log)
        return self._asked[1]

    def _standing_of(self, log: EventLog) -> Standing:
        visits = Visits.of(log)
        # Somebody who is new stands at the end.
        visits = dataclasses.replace(
            visits,
            owner=np.append(visits.owner, log.n_customers),
            time=np.append(visits.time, log.as_of),
            static=None if visits.static is None else visits.static.with_unknown(),
        )
        blocks = np.array_split(np.arange(log.n_customers + 1), log.n_customers // _BLOCK + 1)
        with one_thread():
            parts = [forward(self.weights_, inputs(visits.take(block), self.shop_)) for block in blocks]
        curves = CountCurves(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in dataclasses.fields(CountCurves)
            )
        )
        overdue = self.shop_.rates.overdue(self.shop_.histories(visits))
        return Standing(curves, overdue, self.shop_.clock, log.as_of)

    def _expected(self, histories: Standing, ticks: FloatArray) -> FloatArray:
        return histories.curves.expected(histories.days(ticks))

    def _further_event(self, histories: Standing) -> FloatArray:
        return histories.curves.p_active

    def _chances(self, histories: Standing, ticks: FloatArray | IntArray) -> FloatArray:
        return histories.curves.p_return(histories.days(ticks))

    def _next_event(self, histories: Standing, levels: FloatArray) -> FloatArray:
        return histories.moments(histories.curves.next_visit(levels))

    def _overdue(self, histories: Standing) -> FloatArray:
        return histories.overdue


@functools.cache
def prior() -> dict[str, Float32Array]:
    """Return the weights that simulated shops have taught."""
    place = resources.files("foretell.events.horizon") / "prior.npz"
    with resources.as_file(place) as file:
        return read_weights(file)


class PriorCounts(NamedTuple):
    """What the prior expects after a log's end.

    Attributes
    ----------
    expected : array, shape (n_customers, n_ticks)
    dispersion : float
        Of all counts up to the last tick: their variance beyond a Poisson's, over their squared means.
    """

    expected: FloatArray
    dispersion: float


def prior_counts(log: EventLog, ticks: IntArray) -> PriorCounts:
    """Return what the prior expects within some ticks after the end of a log."""
    standing = HorizonForecaster().fit(log)._read(log)  # noqa: SLF001  # of this module
    days = standing.days(ticks)
    expected = standing.curves.expected(days)
    beyond = standing.curves.variance(days[-1:])[:, 0] - expected[:, -1]
    return PriorCounts(expected, float(max(beyond.sum(), 0.0) / max((expected[:, -1] ** 2).sum(), 1e-9)))


def _effects(text: npt.NDArray[Any]) -> Effects:
    try:
        return Effects.from_description(json.loads(text.astype(np.uint8).tobytes()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError("the effects of what is known of customers cannot be read") from error
