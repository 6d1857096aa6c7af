"""A shop's own page: what to expect, whom to write to, who is new, what changed, how far to trust it."""

from __future__ import annotations

import html
from typing import Final

import polars as pl

from foretell.data.log import EventLog
from foretell.data.tables import CountModel
from foretell.evaluation.evaluation import html_table
from foretell.events.calendar import as_if_told
from foretell.i18n import Translator
from foretell.plotting.expectations import plot_earlier, plot_newcomers, plot_periods
from foretell.report import outlook
from foretell.report.outlook import Expectation, ShopModel
from foretell.report.pages import live_picture, note, page
from foretell.spend.gamma_gamma import worth_of

_LISTED: Final = 20
_SHOWS: Final = 0.05  # log factor of a day of the calendar from which on it is worth a word


def shop_html(model: ShopModel, say: Translator, earlier: dict[str, object] | None) -> str:
    """Return the page of a shop; ``earlier`` is what its last one held as data."""
    with as_if_told(model.log_):  # the page says itself how far a calendar reaches
        return _page_of(model, say, earlier)


def _page_of(model: ShopModel, say: Translator, earlier: dict[str, object] | None) -> str:
    log = model.log_
    expected = outlook.expectations(model)
    past, ahead = outlook.weeks(model)
    mark = worth_of(log)
    value = {} if mark is None else {"value": mark}
    listed = model.shortlist(_LISTED, "30d", language=say.language, **value)
    title = say("The shop as of {date}", date=_date(log, log.as_of, say))
    body = [
        f"<h1>{html.escape(title)}</h1>",
        note(say("{customers:,} customers, {visits:,} visits since {date}; forecasts by {model}.",
                 customers=log.n_customers, visits=log.n_events, date=_date(log, log.start, say),
                 model=model.name)),
        "".join(f'<p class="verdict">{html.escape(expectation_in_words(one, say))}</p>' for one in expected),
        *_section(say("What to expect"), _expected(expected, say), _weeks(past, ahead, say),
                  *map(note, days_in_words(model, say))),
        *([] if mark is None else _worth(model, mark, say)),
        *_changed(None if earlier is None else outlook.changes(model, earlier), say),
        *_section(say("Whom to write to"), _late(listed, say)),
        *_section(say("Who is new"), *_new(outlook.newcomers(model), say)),
        *_section(say("How good earlier forecasts were"), *_before(outlook.earlier_forecasts(model), say)),
        *_section(say("What the words mean"), _glossary(say)),
    ]  # fmt: skip
    data: dict[str, object] = {
        "as_of": str(log.date(log.as_of)),
        "weeks": ahead["known"].to_list(),
        "shortlist": listed["unique_id"].to_list(),
    }
    return page(title, body, language=say.language, live=True, data=data)


def days_in_words(model: CountModel, say: Translator) -> list[str]:
    """Say how many more visits the days of a calendar bring, of a model that knows one."""
    table, log = getattr(model, "calendar_table", None), model.log_  # statistics have none
    rows = [] if table is None else table([80]).filter(pl.col("times").log().abs() > _SHOWS).rows(named=True)
    if not rows or log.calendar is None:
        return []
    notes = [
        say(
            "{column} {value}: {times:.2f} times as many visits as on other days ({low:.2f} to {high:.2f}).",
            column=row["column"], value=row["value"], times=row["times"],
            low=row["times-lo-80"], high=row["times-hi-80"],
        )
        for row in rows
    ]  # fmt: skip
    end = _date(log, log.calendar.end * log.ticks_of("1d"), say)
    return [*notes, say("The calendar is known up to {date}; later days count as average ones.", date=end)]


def _section(heading: str, *parts: str) -> list[str]:
    return [f"<section><h2>{html.escape(heading)}</h2>", *parts, "</section>"]


def expectation_in_words(one: Expectation, say: Translator) -> str:
    """Say what to expect of some days, and whether that is more than before."""
    text = _expectation(one, say)
    if one.before <= 0:
        return text
    change = one.total / one.before - 1
    if abs(change) < 0.02:
        return text + say(" That is as many as in the {days} days before.", days=one.days)
    much = 100 * abs(change)
    if change > 0:
        return text + say(
            " That is {much:.0f} % more than in the {days} days before.", much=much, days=one.days
        )
    return text + say(" That is {much:.0f} % less than in the {days} days before.", much=much, days=one.days)


def _expectation(one: Expectation, say: Translator) -> str:
    write = rounded if one.mark is not None else "{:,.0f}".format
    numbers = {name: write(getattr(one, name) or 0.0) for name in ("total", "low", "high", "new")}
    if one.mark is None and one.new is None:
        return say(
            "In the next {days} days expect about {total} visits of today's customers; four times out of "
            "five it is between {low} and {high}.",
            days=one.days, **numbers,
        )  # fmt: skip
    if one.mark is None:
        return say(
            "In the next {days} days expect about {total} visits, {new} of them by customers who are not "
            "known yet; four times out of five it is between {low} and {high}.",
            days=one.days, **numbers,
        )  # fmt: skip
    if one.new is None:
        return say(
            "In the next {days} days the sum of {mark} from today's customers will be about {total}; four "
            "times out of five it is between {low} and {high}.",
            days=one.days, mark=one.mark, **numbers,
        )  # fmt: skip
    return say(
        "In the next {days} days the sum of {mark} will be about {total}, {new} of it from customers who are "
        "not known yet; four times out of five it is between {low} and {high}.",
        days=one.days, mark=one.mark, **numbers,
    )  # fmt: skip


def rounded(value: float) -> str:
    """Return an amount for people.

    Examples
    --------
    >>> rounded(1234.5), rounded(9.876), rounded(0)
    ('1,234', '9.9', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:,.1f}"


def _expected(expected: list[Expectation], say: Translator) -> str:
    rows = [
        {
            say("next days"): one.days,
            say("visits") if one.mark is None else one.mark: round(one.total),
            say("at least (90 % sure)"): round(one.low),
            say("at most (90 % sure)"): round(one.high),
            say("by new customers"): None if one.new is None else round(one.new),
            say("days before"): round(one.before),
            say("a year ago"): None if one.year_ago is None else round(one.year_ago),
        }
        for one in expected
    ]
    hint = say(
        "A dash: the log is too short to tell. Where nothing is said of new customers, only the visits of "
        "today's customers are expected."
    )
    return html_table(pl.DataFrame(rows)) + note(hint)


def _weeks(past: pl.DataFrame, ahead: pl.DataFrame, say: Translator) -> str:
    caption = say(
        "Black: the visits of each week so far. Coloured: those to expect; the lines hold four weeks out of "
        "five."
    )
    return live_picture(plot_periods(past, ahead, say), "weeks", caption)


def _worth(model: ShopModel, mark: str, say: Translator) -> list[str]:
    """Return what the visits to come are worth."""
    expected = outlook.expectations(model, mark)
    sentences = "".join(f"<p>{html.escape(expectation_in_words(one, say))}</p>" for one in expected)
    chart = plot_periods(*outlook.weeks(model, mark), say, mark=mark)
    caption = say(
        "Black: the sum of each week so far. Coloured: what to expect; the lines hold four weeks out of five."
    )
    return _section(
        say("What it is worth"), sentences, _expected(expected, say), live_picture(chart, "worth", caption)
    )


def _changed(change: dict[str, object] | None, say: Translator) -> list[str]:
    """Return what came since the last report, if there was one."""
    if change is None:
        return []
    sentences = [
        say(
            "Since the report of {since}, {days:.0f} days ago, its customers came {visits:,} times.",
            **change,
        )
    ]
    if change["expected"] is not None:
        sentences.append(say("It expected {expected:,.0f}.", **change))
    sentences.append(say("{new:,} customers are new.", **change))
    if change["listed"]:
        sentences.append(
            say("Of the {listed} customers it listed as worth writing to, {returned} have come.", **change)
        )
    body = f"<p>{html.escape(say(' ').join(sentences))}</p>"
    return _section(say("What changed since the last report"), body)


def _late(listed: pl.DataFrame, say: Translator) -> str:
    if not listed.height:
        return note(say("Nobody is late."))
    names = {
        "unique_id": say("customer"),
        "reason": say("why"),
        "last_event": say("last visit"),
        "visits_to_win": say("visits to win"),
        "value_to_win": say("value to win"),
    }
    kept = [name for name in names if name in listed.columns]
    hint = say(
        "The {count} customers by whom a contact may win most: late by their own rhythm, and not lost yet. "
        "It is a ranking, not the effect of a letter.",
        count=listed.height,
    )
    won = pl.col("^(visits|value)_to_win$").round(2)
    table = listed.select(kept).with_columns(won).rename({name: names[name] for name in kept})
    return html_table(table, long=names["reason"]) + note(hint)


def _new(months: pl.DataFrame, say: Translator) -> list[str]:
    shown = months.select(
        pl.col("month").dt.strftime("%Y-%m").alias(say("month of the first visit")),
        pl.col("customers").alias(say("new customers")),
        *(
            (pl.col(f"back_{days}d") * 100).round(0).alias(say("back within {days} days, %", days=days))
            for days in (30, 90)
        ),
        pl.col("expected_90d").round(2).alias(say("visits to expect of each in 90 days")),
    )
    hint = say("A dash: not enough days have passed since then to say.")
    caption = say("Whose first visit fell into the month.")
    chart = live_picture(plot_newcomers(months, say), "newcomers", caption)
    return [chart, html_table(shown.reverse()) + note(hint)]


def _before(origins: pl.DataFrame, say: Translator) -> list[str]:
    if not origins.height:
        return [note(say("The log is too short to look back."))]
    inside = int(origins["actual"].is_between(origins["visits-lo-80"], origins["visits-hi-80"]).sum())
    off = float((origins["visits"] / origins["actual"].clip(1) - 1).abs().to_numpy().mean())
    text = say(
        "{inside} of {count} times what came in the next 30 days lay within the interval, which should hold "
        "four of five; on average the forecast was {off:.0f} % off.",
        inside=inside, count=origins.height, off=100 * off,
    )  # fmt: skip
    how = say("Each is made anew from what was known on its day, of ours by the built-in prior.")
    chart = live_picture(
        plot_earlier(origins, say),
        "earlier",
        say("Visits in the 30 days after each date; bars hold four of five."),
    )
    return [f"<p>{html.escape(text)}</p>", chart, note(how)]


def _glossary(say: Translator) -> str:
    terms = {
        say("visit"): say("What one row of the log is; of one customer on one day it counts once."),
        say("expected visits"): say(
            "The mean over what may happen. Half a visit of one customer means: about every other one comes."
        ),
        say("interval"): say("Four times out of five the truth lies within it, once below or above."),
        say("late"): say(
            "Silent for longer than most of the gaps to expect of this customer, by their own rhythm."
        ),
        say("visits to win"): say(
            "Visits of the usual rhythm in 30 days, if the customer is still reachable, less those expected "
            "anyway, times how late the customer is."
        ),
    }
    entries = (f"<dt>{html.escape(term)}</dt><dd>{html.escape(what)}</dd>" for term, what in terms.items())
    return f"<dl>{''.join(entries)}</dl>"


def _date(log: EventLog, tick: int, say: Translator) -> str:
    moment = log.date(tick).astype("datetime64[s]").item()
    return str(moment.strftime(say("%d %b %Y"))).lstrip("0")
