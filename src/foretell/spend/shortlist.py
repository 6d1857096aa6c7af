"""Whom to write to now: the customers by whom a contact may win most visits, each with its reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from foretell.core import FloatArray
from foretell.core.constraints import Maybe, Number, OneOf, Whole, check
from foretell.core.time import UNIT_SECONDS
from foretell.data.log import EventLog
from foretell.data.selection import Selection
from foretell.data.tables import CountModel, asked_customers, chances_within, named_horizons
from foretell.errors import DataError
from foretell.i18n import Translator
from foretell.spend.forecasts import rates_of

_REACH: Final = 12  # horizons, after which a customer who has stayed away is taken to be lost
_NO_VALUE: Final = "visits"


@dataclasses.dataclass(frozen=True)
class ShortlistConfig:
    """How customers are chosen; see `shortlist`."""

    top: int | None = 200
    horizon: str | int = "30d"
    where: Sequence[str] = ()
    min_chance: float = 0.0
    value: str | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        check("top", self.top, Maybe(Whole()))
        check("min_chance", self.min_chance, Number(0, 1, "[]"))


def shortlist(model: CountModel, config: ShortlistConfig) -> pl.DataFrame:
    """Rank customers by the visits that a contact may win; see `EventForecaster.shortlist`."""
    log = model.log_
    ((name, ticks),) = named_horizons(log, [config.horizon])
    ranked = _Ranking.of(log, ticks, name, config)
    tables = (ranked.table(model, part) for part in model.predict_blocks([ticks, _REACH * ticks], [], None))
    chosen = Selection(where=config.where, sort=ranked.by, top=config.top)
    (table,) = chosen.of_all(tables)
    return table.with_columns(pl.Series("reason", ranked.reasons(table), dtype=pl.String))


@dataclasses.dataclass(frozen=True)
class _Ranking:
    """What is the same for all customers of a log."""

    log: EventLog
    ticks: int
    horizon: str
    usual_gap: FloatArray  # of each customer, in ticks
    per_visit: FloatArray | None  # what each customer spends on one
    config: ShortlistConfig

    @classmethod
    def of(cls, log: EventLog, ticks: int, horizon: str, config: ShortlistConfig) -> _Ranking:
        marks = log.mark_names
        check("value", config.value, Maybe(OneOf((*marks, _NO_VALUE))))
        money = ("amount" if "amount" in marks else _NO_VALUE) if config.value is None else config.value
        per_visit = None if money == _NO_VALUE else rates_of(log, money).per_visit
        return cls(log, ticks, horizon, usual_gaps(log), per_visit, config)

    @property
    def by(self) -> str:
        """The column that ranks."""
        return "visits_to_win" if self.per_visit is None else "value_to_win"

    @property
    def reach(self) -> str:
        """The column of the chance that a customer is not lost."""
        return f"p_return_{_REACH * self.ticks}{self.log.unit[0]}"

    def table(self, model: CountModel, answers: pl.DataFrame) -> pl.DataFrame:
        """Return what is known of some customers, and what a contact may win."""
        chance, kept = (chances_within(model, answers, many * self.ticks) for many in (1, _REACH))
        expected = answers[f"expected_events_{self.ticks}t"].to_numpy()
        places = asked_customers(self.log, answers["unique_id"]).places
        usual = self.ticks / self.usual_gap[places]
        # Of a model that counts nothing, chances stand for visits.
        as_usual, alone = (-np.expm1(-usual), chance) if np.isnan(expected).all() else (usual, expected)
        late = answers["overdue"].cast(pl.Float64).fill_null(1.0).to_numpy()
        to_win = late * np.maximum(kept * as_usual - alone, 0.0)
        days = UNIT_SECONDS[self.log.unit] / UNIT_SECONDS["day"]
        columns = {
            "unique_id": answers["unique_id"],
            "n_events": answers["n_events"],
            "last_event": answers["last_event"],
            "silent_days": (self.log.as_of - self.log.last[places]) * days,
            "usual_gap_days": np.where(self.log.counts[places] > 1, self.usual_gap[places] * days, np.nan),
            "overdue": answers["overdue"],
            f"p_return_{self.horizon}": chance,
            f"expected_events_{self.horizon}": expected,
            self.reach: kept,
            "visits_to_win": to_win,
        }
        if self.log.groups is not None and self.log.group_names is not None:
            last = self.log.groups[self.log.offsets[places + 1] - 1]
            columns["group"] = self.log.group_names.gather(last)
        if self.per_visit is not None:
            spent = self.per_visit[places]
            columns |= {"value_per_visit": spent, "value_to_win": to_win * spent}
        table = pl.DataFrame(columns, nan_to_null=True)
        return table.filter(pl.col("visits_to_win") > 0, pl.col(self.reach) >= self.config.min_chance)

    def reasons(self, table: pl.DataFrame) -> list[str]:
        """Say for each customer why, in a sentence or two."""
        say = Translator(self.config.language)
        within = _days(say, self.ticks * UNIT_SECONDS[self.log.unit] / UNIT_SECONDS["day"])
        chances = table[f"p_return_{self.horizon}"]
        return [
            _reason(say, row, chance, within) for row, chance in zip(table.to_dicts(), chances, strict=True)
        ]


def _reason(say: Translator, row: dict[str, Any], chance: float, within: str) -> str:
    """Return why one customer is worth a contact."""
    silent = _days(say, row["silent_days"])
    if row["usual_gap_days"] is None:
        parts = [say("one visit, {days} ago", days=silent)]
    else:
        usual = _days(say, row["usual_gap_days"])
        parts = [
            say("{count} visits, usually every {days}", count=row["n_events"], days=usual),
            say("silent for {days}", days=silent),
        ]
    if row["overdue"] is not None:
        share = min(row["overdue"], 0.99)
        parts.append(say("later than {share:.0f} % of the returns to expect", share=100 * share))
    alone = say("{chance:.0f} % of such customers come back within {time} on their own",
                chance=100 * chance, time=within)  # fmt: skip
    sentence = say("{history}. {chance}.", history=say(", ").join(parts), chance=alone)
    return sentence[0].upper() + sentence[1:]


def _days(say: Translator, count: float) -> str:
    """Return a number of days in words, with a decimal where it matters."""
    digits = 1 if count < 10 and round(count, 1) % 1 else 0
    text = f"{count:,.{digits}f}"
    return say("1 day") if text == "1" else say("{count} days", count=text)


def usual_gaps(log: EventLog) -> FloatArray:
    """Return each customer's mean gap in ticks, drawn towards the shop's by as much as one gap says.

    The shop's is the median of the mean gaps of those who came back.

    Examples
    --------
    >>> import foretell as ft
    >>> days = ["2024-01-01", "2024-01-05", "2024-01-09", "2024-01-03"]
    >>> frame = pl.DataFrame({"unique_id": ["a", "a", "a", "b"], "ds": days})
    >>> usual_gaps(ft.read_events(frame)).tolist()
    [4.0, 4.0]
    """
    gaps = log.counts - 1
    spans = (log.last - log.first).astype(np.float64)
    back = gaps > 0
    if not back.any():
        raise DataError("nobody in the log has come twice: there is no rhythm to be late by")
    shop = float(np.median(spans[back] / gaps[back]))
    return np.maximum((spans + shop) / (gaps + 1), 1e-9)
