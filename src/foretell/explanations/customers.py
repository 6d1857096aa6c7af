"""What moved a customer's chance of a return away from the classical forecast, and who is silent too long."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jax import Array

from foretell.core import FloatArray
from foretell.data.log import EventLog
from foretell.errors import DataError, ParameterError
from foretell.events.heads.mixture import Anchor, GapNetwork, anchored
from foretell.events.history import histories, on_device, origins, standardised
from foretell.events.horizon.effects import WIDTH, Effects
from foretell.events.states import GapModel, encode, log_features, standing
from foretell.explanations.explanation import Explanation, Part, integrated_gradients, what_moves_it
from foretell.i18n import Translator
from foretell.nn import mixture as mix
from foretell.nn.backend import jitted

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster


_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
# Places of the columns of `foretell.events.history.step_features`.
_GAP, _MEAN_GAP, _SO_FAR = (0, 2), (1,), (3, 4, 5)
_WEEKDAY, _HOUR = tuple(range(6, 12)), tuple(range(12, 16))
# Percentage points below which a part is not worth a sentence; and how busy is busier.
_LEAST, _BUSIER = 0.005, 0.1


def explain_customer(
    model: EventForecaster, key: object, *, horizon: str | int, target: str | None, say: Translator
) -> Explanation:
    """Explain the chance that a customer comes within the horizon; see `foretell.explain`."""
    del target  # of series
    log, fitted = model.log_, model.model_
    if not isinstance(fitted.network, GapNetwork):
        raise ParameterError(
            f"the model is {model.name!r}; expected head='mixture', whose anchor is a model of its own"
        )
    known = {known: i for i, known in enumerate(log.ids.to_list())}
    place = known.get(key) if isinstance(key, Hashable) else None
    if place is None:
        raise ParameterError(
            f"there is no customer {key!r} in the log; expected one of its ids, such as {log.ids[0]!r}"
        )
    ticks = log.ticks_of(horizon)
    customer = log.take([place])
    table = fitted.clock.table(log.start, log.as_of + ticks)
    history = histories(customer, table, fitted.known)
    features = standardised(fitted.scale.arrays(), log_features(history, customer))
    origin = origins(customer.last, table, customer.min_gap)[0]
    elapsed = max(float(table.at(log.as_of) - origin), 0.0)
    season = float(table.at(log.as_of + ticks) - table.at(log.as_of)) / ticks
    state = np.array([history.count[-1], history.age[-1]], dtype=np.float32)
    size = 1 << max(len(features) - 1, 7).bit_length()  # few sizes, few compilations
    members = [jnp.stack(parts) for parts in zip(*fitted.members, strict=True)]
    contributions, common, own, final, anchor = _attribute(
        fitted.network,
        members,
        jnp.pad(features, ((0, size - len(features)), (0, 0))),
        jnp.int32(len(features) - 1),
        on_device(state),
        on_device([elapsed, elapsed + ticks, elapsed + ticks * season]),
    )
    shared = (say("all customers alike"), say("the average history"), float(common - anchor))
    moved = np.asarray(contributions, dtype=np.float64)[: len(features)]
    pieces = _pieces(moved, customer, fitted.known, say)
    busy = say("{season:.2f} times as busy as usual", season=season)
    parts = (shared, *pieces, (say("season ahead"), busy, float(final - own)))
    words = _words(customer, fitted, ticks, (float(anchor), float(final)), parts, say)
    quantity = say("chance of an event within {time}", time=_spelled(ticks, log, say))
    return Explanation(key, quantity, float(anchor), float(final), parts, words, share=True)


@jitted(0)
def _attribute(
    network: GapNetwork, members: list[Array], features: Array, last: Array, state: Array, readings: Array
) -> tuple[Array, ...]:
    """Return the contributions of the features, and the chance from the mean history to the forecast.

    The chances: of the mean history, of the own one, of the own one in the season ahead, of the anchor.
    """

    def chance(packed: Array, until: Array) -> Array:
        mixture = mix.combine(mix.unpack(packed))
        later, now = (mix.survival(mixture, gap[None]) for gap in (until, readings[0]))
        returned: Array = 1.0 - later / now
        return returned[0]

    def packed_of(features: Array) -> Array:
        def member(weights: list[Array]) -> Array:
            states = network.network.sequence(weights, features[None])[0]
            packed: Array = network.network.output(
                weights, states[last][None], features[last][None], state[None]
            )
            return packed

        return jax.vmap(member)(members)

    def of_anchor(weights: list[Array]) -> Array:
        named = {
            v.name: w
            for v, w in zip(network.network.variables, weights, strict=True)
            if v.path.startswith("anchor/")
        }
        packed: Array = mix.pack(anchored(Anchor(**named), state[:1], state[1:], None, network.drop_out))
        return packed

    contributions = integrated_gradients(lambda x: chance(packed_of(x), readings[1]), features)
    mean, own = jax.vmap(packed_of)(jnp.stack([jnp.zeros_like(features), features]))
    chances = [chance(packed, readings[k]) for packed, k in ((mean, 1), (own, 1), (own, 2))]
    return contributions, *chances, chance(jax.vmap(of_anchor)(members), readings[1])


def _pieces(
    contributions: FloatArray, customer: EventLog, known: Effects | None, say: Translator
) -> list[Part]:
    """Return the contributions by what a reader knows, with their values in words."""
    per_day = 24 if customer.unit == "hour" else 1
    gaps = np.diff(customer.times) / per_day
    n, hourly = len(customer.times), customer.unit == "hour"
    # The first event has no gap before it: what its features say counts among the earlier ones.
    by_gap = contributions[:, list(_GAP)].sum(axis=1)
    pieces: list[Part] = []
    if n > 1:
        pieces.append((say("last gap"), _days(gaps[-1], say), by_gap[-1]))
    if n > 2:
        pieces.append((say("gap before it"), _days(gaps[-2], say), by_gap[-2]))
    earlier = say("none")
    if n > 3:
        mean_of_them = _days(gaps[:-2].mean(), say)
        earlier = say("{count} of them, {days} on average", count=n - 3, days=mean_of_them)
    pieces.append((say("earlier gaps"), earlier, by_gap[: max(n - 2, 1)].sum()))
    mean = _days(gaps.mean(), say) if n > 1 else say("one visit only")
    pieces.append((say("mean gap"), mean, contributions[:, list(_MEAN_GAP)].sum()))
    days = _days((customer.times[-1] - customer.times[0]) / per_day, say)
    span = say("the first") if n == 1 else say("{count:,} in {days}", count=n, days=days)
    pieces.append((say("visits so far"), span, contributions[:, list(_SO_FAR)].sum()))
    day = say(_WEEKDAYS[int((customer.times[-1] // per_day + 3) % 7)].removesuffix("s"))
    last = say("last one on {weekday}", weekday=day)
    pieces.append((say("day of the week"), last, contributions[:, list(_WEEKDAY)].sum()))
    if hourly:
        hour = say("last one at {hour:02d}:00", hour=int(customer.times[-1] % 24))
        pieces.append((say("hour of the day"), hour, contributions[:, list(_HOUR)].sum()))
    first, n_marks = 16 if hourly else 12, len(customer.mark_names) + (0 if known is None else WIDTH)
    for k, name in enumerate(customer.mark_names):
        columns = [first + k, first + n_marks + k]
        marks = customer.marks[~np.isnan(customer.marks[:, k]), k]
        said = say("not known")
        if len(marks):
            said = say("last {last:,.4g}, mean {mean:,.4g}", last=marks[-1], mean=marks.mean())
        pieces.append((name, said, contributions[:, columns].sum()))
    if known is not None and customer.static is not None:
        begin = len(customer.mark_names)
        moved = np.stack(
            [contributions[:, [first + k, first + n_marks + k]].sum() for k in (begin, begin + 1)]
        )
        parts = known.parts(customer.static)[0]  # the tilt is their sum
        whole = parts.sum(axis=0)
        shares = np.divide(parts, whole, out=np.zeros_like(parts), where=whole != 0)
        for name, share in zip(known.design.names, shares, strict=True):
            pieces.append((name, _known(customer, name, say), share @ moved))
    return [(what, value, float(moved)) for what, value, moved in pieces]


def _known(customer: EventLog, name: str, say: Translator) -> str:
    value = None if customer.static is None else customer.static.column(name)[0]
    return say("not known") if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)


def _words(
    customer: EventLog,
    fitted: GapModel,
    ticks: int,
    chances: tuple[float, float],
    parts: tuple[Part, ...],
    say: Translator,
) -> tuple[str, ...]:
    """Say it as one would to a shop-keeper."""
    words = [
        say(
            "The chance of a visit within {time} is {chance:.0%}; the bare counts of visits and days say "
            "{anchor:.0%}.",
            time=_spelled(ticks, customer, say), chance=chances[1], anchor=chances[0],
        )
    ]  # fmt: skip
    per_day = 24 if customer.unit == "hour" else 1
    days = (customer.as_of - int(customer.times[-1])) / per_day
    if len(customer.times) > 1:
        usual = float(np.diff(customer.times).mean()) / per_day
        words.append(
            say(
                "The last visit is {days} ago: {ratio:.1f} of the usual gaps of {usual}.",
                days=_days(days, say), ratio=days / max(usual, 1e-9), usual=_days(usual, say),
            )
        )  # fmt: skip
    else:
        words.append(say("There was one visit so far, {days} ago.", days=_days(days, say)))
    weekday = np.bincount((customer.times // per_day + 3) % 7, minlength=7)
    if len(customer.times) >= 4 and weekday.max() * 2 >= len(customer.times):
        top = int(weekday.argmax())
        words.append(
            say(
                "Comes mostly on {weekdays} ({times} of {visits} visits).",
                weekdays=say(_WEEKDAYS[top]), times=weekday[top], visits=len(customer.times),
            )
        )  # fmt: skip
    words += _season_words(customer, fitted, ticks, say)

    def spelled(what: str, value: str, by: float) -> str:
        return say("{what} ({value}) by {points:.0f} points", what=what, value=value, points=100 * by)

    return (*words, *what_moves_it(parts, _LEAST, spelled, say))


def _season_words(customer: EventLog, fitted: GapModel, ticks: int, say: Translator) -> list[str]:
    """Say how busy the month in the middle of the horizon is."""
    if len(set(fitted.clock.year)) == 1:
        return []
    per_day = 24 if customer.unit == "hour" else 1
    middle = (customer.as_of + ticks // 2) // per_day
    month = np.datetime64(middle, "D").astype("datetime64[M]")
    begin, end = (int(m.astype("datetime64[D]").astype(np.int64)) * per_day for m in (month, month + 1))
    busy = float(fitted.clock.speed(np.arange(begin, end)).mean())
    if abs(busy - 1.0) < _BUSIER:
        return []
    name = say(_MONTHS[int(month.astype(int)) % 12])
    return [say("{month} is {busy:.1f} times as busy as the average month.", month=name, busy=busy)]


def _days(count: float, say: Translator) -> str:
    return say("1 day") if round(count) == 1 else say("{count} days", count=f"{count:,.0f}")


def _spelled(ticks: int, log: EventLog, say: Translator) -> str:
    """Return ticks in words.

    Examples
    --------
    >>> import foretell as ft
    >>> import polars as pl
    >>> frame = pl.DataFrame({"unique_id": ["a", "b"], "ds": ["2024-01-01", "2024-01-05"]})
    >>> _spelled(14, ft.read_events(frame), Translator())
    '14 days'
    """
    count = f"{ticks:,}"
    return say("{count} days", count=count) if log.unit == "day" else say("{count} hours", count=count)


def silent_customers(model: EventForecaster, log: EventLog | None, level: float) -> pl.DataFrame:
    """List the customers whose silence is beyond their gap of some percentage; see `foretell.anomalies`."""
    states = model.states_
    if log is None:
        log = model.log_
    elif log.as_of < model.log_.as_of:
        raise DataError(
            f"the log ends {log.date(log.as_of)}, before the model's date "
            f"{model.log_.date(model.log_.as_of)}; expected a log that goes on"
        )
    else:
        states = encode(model.model_, log)
    at = standing(model.model_, log, states)
    limits = at.limits(level / 100)
    late = np.flatnonzero(log.as_of > limits)
    days = 24.0 if log.unit == "hour" else 1.0
    silent = (log.as_of - log.last[late]) / days
    limit = (limits[late] - log.last[late]) / days
    table = pl.DataFrame(
        {
            "unique_id": log.ids.gather(late),
            "ds": log.time_of(np.full(len(late), log.as_of)),
            "what": pl.Series(["silence"] * len(late), dtype=pl.String),
            "value": silent,
            "low": np.zeros(len(late)),
            "high": limit,
            "score": silent / np.maximum(limit, 1.0 / days),
        }
    )
    return table.sort("score", descending=True)
