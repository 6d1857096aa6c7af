"""What the pages of a model show: sentences, pictures and tables.

It brings the charts, and is imported when the first of them is asked for.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast
from urllib.parse import urlencode

import numpy as np
import polars as pl

from foretell import plotting
from foretell.data.tables import typed_ids
from foretell.errors import ForetellError
from foretell.events.calendar import as_if_told
from foretell.i18n import Translator
from foretell.plotting.expectations import plot_periods
from foretell.report import outlook
from foretell.report.shop import days_in_words, expectation_in_words, rounded, shop_html
from foretell.serve import answers
from foretell.serve.bodies import ExplainAsk, PredictAsk, SpendAsk, TotalsAsk, ValueAsk, Visit, asked
from foretell.serve.pictures import Picture, picture
from foretell.serve.settings import Limits
from foretell.serve.words import headings, steps
from foretell.spend.amounts import AmountModel

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster
    from foretell.serve.models import Loaded

T = TypeVar("T")
_OFFERED: Final = 12  # customers to look at
_SHOWN_IDS: Final = 1_000
_GROUP_DAYS: Final = 30


def overview(loaded: Loaded, say: Translator) -> dict[str, Any]:
    """Return what to expect of a shop."""
    forecaster, worth = cast("EventForecaster", loaded.model), loaded.about.worth
    with as_if_told(forecaster.log_):  # the page says itself how far a calendar reaches
        parts = [_weeks(forecaster, None, say), *([] if worth is None else [_weeks(forecaster, worth, say)])]
    tables = [parts[0].ahead.select("ds"), *(part.ahead.drop("ds") for part in parts)]
    table = pl.concat(tables, how="horizontal")
    return {
        "shown": parts,
        "days": days_in_words(forecaster, say),
        "by_group": _by_group(forecaster, say),
        "pictures": [part.drawn for part in parts],
        "columns": [say("week from"), *headings(table.columns[1:], say)],
        "rows": table.rows(),
    }


def _by_group(model: EventForecaster, say: Translator) -> Picture | None:
    """Draw what each group (store) may expect; None where there are none."""
    if model.log_.groups is None:
        return None
    title = say("Visits by group in the next {days} days", days=_GROUP_DAYS)
    about = say(
        "Bars: to expect of today's customers, those of the largest groups; the lines hold four of five. "
        "Orange: in as many days before."
    )
    return picture(plotting.plot_totals(model, f"{_GROUP_DAYS}d", by="group"), say, title, about)


class Weeks(NamedTuple):
    """What to expect of visits, or of what they are worth: in words, drawn, and by week."""

    sentences: list[str]
    drawn: Picture
    ahead: pl.DataFrame


def _weeks(model: EventForecaster, mark: str | None, say: Translator) -> Weeks:
    past, ahead = outlook.weeks(model, mark)
    if mark is None:
        title = say("Visits per week: so far, and forecast")
        about = say(
            "Black: the visits of each week so far. Coloured: those to expect; the lines hold "
            "four weeks out of five."
        )
    else:
        title = say("Sum of {mark} per week: so far, and forecast", mark=mark)
        about = say(
            "Black: the sum of each week so far. Coloured: what to expect; the lines hold four weeks out of "
            "five."
        )
    sentences = [expectation_in_words(one, say) for one in outlook.expectations(model, mark)]
    drawn = picture(plot_periods(past, ahead, say, mark=mark), say, title, about)
    return Weeks(sentences, drawn, ahead.drop("end", "newcomers", "known", "new"))


def shop(loaded: Loaded, say: Translator) -> dict[str, Any]:
    """Return what was learned of a shop."""
    model = cast("EventForecaster", loaded.model)
    shown: dict[str, Any] = {
        "pictures": [picture(plotting.plot_shop(model), say, say("What was learned of the shop"))]
    }
    shown |= {"columns": [], "rows": []}
    if model.log_.static is not None:
        about = say(
            "Visits to expect of somebody who comes for the first time, as a multiple of those of one of "
            "whom nothing is known. It is association, not effect."
        )
        title = say("What is known of customers")
        drawn = _unless_refused(lambda: picture(plotting.plot_customer_effects(model), say, title, about))
        shown["pictures"] += [] if drawn is None else [drawn]
    if model.log_.calendar is not None:
        days = model.calendar_table().rename({"value": "given"})
        shown |= {"columns": headings(days.columns, say), "rows": days.rows()}
    return shown


def customer(loaded: Loaded, name: str, visit: str, say: Translator, limits: Limits) -> dict[str, Any]:
    """Return what to expect of a customer, and what if they came on a day."""
    forecaster = cast("EventForecaster", loaded.model)
    (found,) = typed_ids(forecaster.log_.ids, [name])
    key = cast("str | int", found)
    worth = loaded.about.worth
    row = _row(forecaster, key, worth, limits)
    after = None
    if visit:
        moved = answers.what_if(forecaster, [asked(Visit, id=key, time=visit)], None, [key])
        if worth is not None:
            AmountModel.of(forecaster.log_, worth).keep_for(moved.log_, worth)
        after = _row(moved, key, worth, limits)
    names = [name for name in row if name != "unique_id"]
    title = say("Customer {id}: when is the next visit?", id=key)
    about = say(
        "Bars: how likely each day or week is for the next visit, if there is one; four times out of "
        "five it is a dark one. Strokes: the visits so far."
    )
    draw = functools.partial(plotting.plot_next_event, forecaster, key)
    chart = _unless_refused(lambda: picture(draw(), say, title, about))
    return {
        "others": [] if row["n_events"] else like(forecaster.log_, name),
        "found": row,
        "after": after,
        "names": names,
        "headings": headings(names, say),
        "why": f"/page/models/{loaded.name}/why?{urlencode({'id': key})}",
        "pictures": [] if chart is None else [chart],
        "next_day": row["as_of"] + dt.timedelta(days=1),
        "worth": _worth_in_words(row, str(worth), say) if "value" in row else "",
    }


def _row(model: EventForecaster, key: str | int, worth: str | None, limits: Limits) -> dict[str, Any]:
    """Return what is forecast of a customer, and what their visits are worth, if that can be told."""
    row = answers.predict(model, asked(PredictAsk, ids=[key], levels=[80]), limits).row(0, named=True)
    if worth is None:
        return row
    spend_ask, value_ask = asked(SpendAsk, ids=[key], mark=worth), asked(ValueAsk, ids=[key], mark=worth)
    spend = _unless_refused(lambda: answers.spend(model, spend_ask, limits))
    value = _unless_refused(lambda: answers.value(model, value_ask, limits))
    if spend is None or value is None:
        return row
    money = pl.concat([spend.select(pl.col("^(spend_per_visit|expected_spend_.*)$")), value.select("value")],
                      how="horizontal")  # fmt: skip
    return row | money.row(0, named=True)


def _worth_in_words(row: Mapping[str, Any], mark: str, say: Translator) -> str:
    ends = {side: rounded(row[f"expected_spend_90d-{side}-80"]) for side in ("lo", "hi")}
    return say(
        "Within 90 days expect {mark} of about {total} from this customer; four times out of five it is "
        "between {low} and {high}. Within a year: about {value}, at 10 % interest a year.",
        mark=mark, total=rounded(row["expected_spend_90d"]), low=ends["lo"], high=ends["hi"],
        value=rounded(row["value"]),
    )  # fmt: skip


def series(loaded: Loaded, name: str, say: Translator, limits: Limits) -> dict[str, Any]:
    """Return the forecast of a series, by default of the first."""
    forecaster = cast("SeriesForecaster", loaded.model)
    ids = forecaster.panel_.ids
    chosen = cast("str | int", typed_ids(ids, [name])[0] if name else ids[0])
    table = answers.predict(forecaster, asked(PredictAsk, ids=[chosen], levels=[80]), limits)
    total = answers.totals(forecaster, asked(TotalsAsk, ids=[chosen]), limits)
    title = say("{id}: {steps}", id=chosen, steps=steps(forecaster.horizon, say))
    about = say(
        "Black: observed. Blue: the forecast, with the intervals that hold 50, 80 and 95 % of what comes."
    )
    draw = functools.partial(plotting.plot_forecast, forecaster, chosen)
    chart = _unless_refused(lambda: picture(draw(), say, title, about))
    table = table.drop("unique_id")
    names = [name.removeprefix(f"{forecaster.name}-") for name in table.columns]
    return {
        "chosen": str(chosen),
        "ids": [str(one) for one in ids.head(_SHOWN_IDS)],
        "columns": headings(names, say),
        "rows": table.rows(),
        "total": total.row(0)[-3:],  # what is expected, and its interval
        "horizon": steps(forecaster.horizon, say),
        "why": f"/page/models/{loaded.name}/why?{urlencode({'id': chosen})}",
        "pictures": [] if chart is None else [chart],
    }


def why(loaded: Loaded, name: str, say: Translator, limits: Limits) -> dict[str, Any]:
    """Return sentences that explain a forecast; none where the model knows none."""
    (key,) = typed_ids(answers.data_of(loaded.model).ids, [name])
    ask = asked(ExplainAsk, id=cast("str | int", key), language=say.language)
    found = _unless_refused(lambda: answers.explain(loaded.model, ask, limits))
    return {"words": () if found is None else found.words}


def report(loaded: Loaded, say: Translator) -> bytes:
    """Return the report of a shop as a page of its own."""
    return shop_html(cast("Any", loaded.model), say, None).encode()


def regulars(loaded: Loaded) -> list[str]:
    """Return the customers who came most often."""
    log = cast("EventForecaster", loaded.model).log_
    return [str(log.ids[int(place)]) for place in np.argsort(-log.counts, kind="stable")[:_OFFERED]]


def like(log: EventLog, text: str) -> list[str]:
    """Return customers whose ids begin with what was asked for, or hold it."""
    ids = log.ids.cast(pl.String)
    small = ids.str.to_lowercase()
    begin, hold = small.str.starts_with(text.lower()), small.str.contains(text.lower(), literal=True)
    found = [*ids.filter(begin).head(_OFFERED), *ids.filter(hold & ~begin).head(_OFFERED)]
    return found[:_OFFERED]


def _unless_refused(work: Callable[[], T]) -> T | None:
    """Return what a model can show; None where it cannot."""
    try:
        return work()
    except ForetellError:
        return None
