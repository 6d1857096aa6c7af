"""What the pages of a model show: sentences, pictures and tables.

It brings the charts, and is imported when the first of them is asked for.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from urllib.parse import urlencode

import numpy as np
import polars as pl

from foretell import plotting
from foretell.data.tables import typed_ids
from foretell.errors import ForetellError
from foretell.i18n import Translator
from foretell.plotting.expectations import plot_weeks
from foretell.report import outlook
from foretell.report.shop import expectation_in_words, shop_html
from foretell.serve import answers
from foretell.serve.bodies import ExplainAsk, PredictAsk, TotalsAsk, Visit, asked
from foretell.serve.pictures import picture
from foretell.serve.settings import Limits
from foretell.serve.words import headings, steps

if TYPE_CHECKING:
    from foretell.data.log import EventLog
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster
    from foretell.serve.models import Loaded

T = TypeVar("T")
_OFFERED: Final = 12  # customers to look at
_SHOWN_IDS: Final = 1_000


def overview(loaded: Loaded, say: Translator) -> dict[str, Any]:
    """Return what to expect of a shop."""
    forecaster = cast("EventForecaster", loaded.model)
    past, ahead = outlook.weeks(forecaster)
    table = ahead.select("ds", "visits", "visits-lo-80", "visits-hi-80")
    named = dict(zip(table.columns, headings(table.columns, say), strict=True))
    return {
        "sentences": [expectation_in_words(one, say) for one in outlook.expectations(forecaster)],
        "pictures": [
            picture(
                plot_weeks(past, ahead, say),
                say,
                say("Visits per week: so far, and forecast"),
                say(
                    "Black: the visits of each week so far. Coloured: those to expect; the lines hold "
                    "four weeks out of five."
                ),
            )
        ],
        "columns": [say("week from"), *list(named.values())[1:]],
        "rows": table.rows(),
    }


def shop(loaded: Loaded, say: Translator) -> dict[str, Any]:
    """Return what was learned of a shop."""
    chart = plotting.plot_shop(cast("EventForecaster", loaded.model))
    return {"pictures": [picture(chart, say, say("What was learned of the shop"))]}


def customer(loaded: Loaded, name: str, visit: str, say: Translator, limits: Limits) -> dict[str, Any]:
    """Return what to expect of a customer, and what if they came on a day."""
    forecaster = cast("EventForecaster", loaded.model)
    (found,) = typed_ids(forecaster.log_.ids, [name])
    key = cast("str | int", found)
    row = answers.predict(forecaster, asked(PredictAsk, ids=[key], levels=[80]), limits).row(0, named=True)
    after = None
    if visit:
        ask = asked(PredictAsk, ids=[key], levels=[80], visits=[asked(Visit, id=key, time=visit)])
        after = answers.predict(forecaster, ask, limits).row(0, named=True)
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
    }


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


def why(loaded: Loaded, name: str, limits: Limits) -> dict[str, Any]:
    """Return sentences that explain a forecast; none where the model knows none."""
    (key,) = typed_ids(answers.data_of(loaded.model).ids, [name])
    ask = asked(ExplainAsk, id=cast("str | int", key))
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
