"""What the days of a calendar bring, as a table and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from scipy import special

from foretell.core import FloatArray
from foretell.core.constraints import as_levels
from foretell.events.calendar import CalendarEffect, code_names

_LATER: Final = ("week_after", "second_week")
_WEEK: Final = 7  # days, over which effects on later ones are spread
_LEAST: Final = 0.01  # a smaller change of the visits is none


class _Contrast(NamedTuple):
    """A value of a column held against another one."""

    column: str
    value: str
    against: str
    codes: FloatArray  # by how much their codes differ


def effect_table(effect: CalendarEffect | None, levels: Sequence[float]) -> pl.DataFrame:
    """Return a row for each column of numbers, and each word; see `EventForecaster.calendar_table`."""
    levels = as_levels(levels)
    ends = [f"times-{side}-{level:g}" for level in levels for side in ("lo", "hi")]
    schema = dict.fromkeys(_Contrast._fields[:3], pl.String) | dict.fromkeys(
        ("times", *ends, *_LATER), pl.Float64
    )
    found = [] if effect is None else list(_contrasts(effect))
    rows = [[*one[:3], *_times(effect, one.codes, levels)] for one in found if effect is not None]
    return pl.DataFrame(rows, schema=schema, orient="row")


def effect_words(effect: CalendarEffect | None) -> list[str]:
    """Return a sentence for each row of the table that shows."""
    return [
        f"{row['column']} {row['value']} brings {row['times']:.2f} times as many visits as "
        f"{row['against'] or 'none'} (80 %: {row['times-lo-80']:.2f} to {row['times-hi-80']:.2f}), "
        f"for each such day {row['week_after']:.2f} in the week after, {row['second_week']:.2f} in the next"
        for row in effect_table(effect, [80]).iter_rows(named=True)
        if abs(np.log(row["times"])) > _LEAST
    ]


def _contrasts(effect: CalendarEffect) -> Iterator[_Contrast]:
    columns, code = effect.calendar.columns, effect.code
    owners = np.array(code_names(columns))
    for name in columns.names:
        own = np.flatnonzero(owners == name)
        if name not in columns.categories:
            codes = np.where(owners == name, (code.high - code.low) / code.scale, 0.0)
            yield _Contrast(name, f"{code.high[own[0]]:g}", f"{code.low[own[0]]:g}", codes)
            continue
        words = columns.categories[name]
        none = words.index("") if "" in words else 0
        for place, word in enumerate(words):
            if place != none:
                codes = np.zeros(len(owners))
                codes[own[place]], codes[own[none]] = 1.0, -1.0
                yield _Contrast(name, word, words[none], codes)


def _times(effect: CalendarEffect, codes: FloatArray, levels: Sequence[float]) -> list[float]:
    """Return the factor, the ends of its intervals, and those of the weeks after."""
    n = len(codes)
    on_day = float(codes @ effect.weights[:n])
    deviation = float(np.sqrt(codes @ effect.covariance[:n, :n] @ codes))
    tails = [sign * special.ndtri(0.5 + level / 200) for level in levels for sign in (-1, 1)]
    later = [float(codes @ effect.weights[k * n : (k + 1) * n]) / _WEEK for k in range(1, 1 + len(_LATER))]
    log_times = [on_day, *(on_day + tail * deviation for tail in tails), *later]
    return [float(times) for times in np.exp(log_times)]
