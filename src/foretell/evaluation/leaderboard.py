"""The leaderboard: models side by side on a held-back period."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from foretell.core.outlook import EventModel, Outlook
from foretell.data.log import EventLog
from foretell.evaluation.folds import free_name
from foretell.evaluation.holdout import Holdout, hold_out
from foretell.evaluation.referee import Verdict, judge
from foretell.evaluation.registry import build_model, model_names
from foretell.evaluation.seeds import other_seeds, spread_line, spread_table
from foretell.stats import event_metrics as metrics

_WINDOW = "30d"
_PERIOD = "7d"


@dataclasses.dataclass(frozen=True)
class Row:
    """One model's figures; None where it does not tell, or where the log cannot show it.

    Attributes
    ----------
    model : str
    rmse, mae : float
        Of the customers' numbers of events.
    bias_pct : float
        100 (Σ forecast − Σ actual) / Σ actual.
    weekly_mape_pct : float
        100 Σ|error| / Σ actual over the weekly totals of all customers.
    brier_30d : float
        Brier score of the probability of a return within 30 days.
    auc_active : float
        How well the score of still being active separates who came back from who did not.
    coverage_80 : float
        Share of the next events that fall into their 80 % interval.
    fit_s, predict_s : float
        Seconds.
    ece_30d : float
        Expected calibration error of the 30-day probability.
    correlation : float
        Between the customers' forecast and actual numbers of events.
    """

    model: str
    rmse: float | None
    mae: float | None
    bias_pct: float | None
    weekly_mape_pct: float | None
    brier_30d: float | None
    auc_active: float | None
    coverage_80: float | None
    fit_s: float
    predict_s: float
    ece_30d: float | None
    correlation: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class Leaderboard:
    """Models side by side, and what they said.

    Attributes
    ----------
    rows : tuple of Row
        The best first: by RMSE; models that do not forecast numbers of events come last, by Brier score.
    holdout : Holdout
        What really happened, and the log that the models were fitted to.
    outlooks : dict of str to Outlook
        What each model said, by its name.
    models : dict of str to EventModel
        The fitted models, by name.
    seed_rows : tuple of Row
        Our models' figures with other seeds, where these were asked for.
    """

    rows: tuple[Row, ...]
    holdout: Holdout
    outlooks: dict[str, Outlook]
    models: dict[str, EventModel]
    seed_rows: tuple[Row, ...] = ()

    def __str__(self) -> str:
        train = self.holdout.train
        seen = f"{train.n_customers:,} customers seen by {self.cutoff}"
        lines = [f"{seen}, forecast to {self.end}: {int(self.holdout.count.sum()):,} events"]
        names = [field.name for field in dataclasses.fields(Row)]
        table = [names] + [[_shown(getattr(row, name)) for name in names] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            cells = [line[0].ljust(widths[0])] + [
                cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)
            ]
            lines.append("  ".join(cells))
        lines += [str(self.verdict()), *filter(None, [spread_line(self.seed_spread(), "rmse")])]
        return "\n".join(lines)

    @property
    def cutoff(self) -> str:
        """Date of the last tick that the models saw."""
        return str(self.holdout.train.date(self.holdout.cutoff))

    @property
    def end(self) -> str:
        """Date of the last held-back tick."""
        return str(self.holdout.train.date(self.holdout.end))

    def verdict(self) -> Verdict:
        """Say which model to use, and how sure that is; see `foretell.evaluation.referee.judge`."""
        actual = self.holdout.count
        losses = {
            name: (outlook.expected - actual) ** 2
            for name, outlook in self.outlooks.items()
            if outlook.expected is not None
        }
        return judge(losses, root=True)

    def seed_spread(self) -> pl.DataFrame:
        """Return how far figures differ with the seed; see `foretell.evaluation.seeds.spread_table`."""
        return spread_table(self.rows, self.seed_rows)

    def table(self) -> pl.DataFrame:
        """Return one row per model, the best first."""
        columns = {field.name: pl.String if field.name == "model" else pl.Float64 for field in _FIELDS}
        return pl.DataFrame([dataclasses.asdict(row) for row in self.rows], schema=columns)

    def to_json(self) -> str:
        """Return ``{"rows": […], "n_customers", "cutoff", "end", "verdict"}``; missing figures are null."""
        content: dict[str, Any] = {
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "n_customers": self.holdout.train.n_customers,
            "cutoff": self.cutoff,
            "end": self.end,
            "verdict": str(self.verdict()),
        }
        if self.seed_rows:
            content["seeds"] = self.seed_spread().to_dicts()
        return json.dumps(content, indent=2, ensure_ascii=False)

    def save_json(self, path: str | Path) -> None:
        """Write `to_json` to a file."""
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")


_FIELDS = dataclasses.fields(Row)


def evaluate(
    log: EventLog,
    cutoff: object,
    horizon: str | int = "273d",
    models: Sequence[EventModel | str] | None = None,
    *,
    seeds: int = 1,
) -> Leaderboard:
    """Compare models on a period that is held back from them.

    Each model is fitted to the log up to the cut-off, and forecasts the events of every customer seen by
    then on the ticks cutoff + 1 … cutoff + horizon.

    Parameters
    ----------
    log : EventLog
        Observed at least to the end of the horizon.
    cutoff : date, datetime or str
        Last day (or hour) that the models see.
    horizon : str or int
        Length of the held-back period, such as ``"273d"`` or ``"26w"``, or in ticks.
    models : sequence of EventModel or str, or None
        Models, or their names (see `model_names`). Models are copied before they are fitted. By default
        ours with its default settings, the buy-till-you-die models, and the rules of thumb.
    seeds : int
        Fit our models again with other seeds, so many in all, to see how far the figures differ.

    Returns
    -------
    Leaderboard

    Raises
    ------
    ParameterError
        The log does not reach the end of the horizon, or a name is unknown.
    EmptyLogError
        No customer was seen by the cut-off.

    Examples
    --------
    >>> import foretell as ft
    >>> from foretell.datasets import load_cdnow
    >>> log = ft.read_events(load_cdnow(sample=True), id="customer_id", time="date", as_of="1998-06-30")
    >>> board = ft.evaluate(log, "1997-09-30", models=["bg/nbd", "repeat rate"])
    >>> board.table()["model"].to_list()
    ['BG/NBD', 'repeat rate']
    >>> round(board.rows[0].rmse, 2)
    1.61
    """
    ahead, period, window = log.ticks_of(horizon), log.ticks_of(_PERIOD), log.ticks_of(_WINDOW)
    holdout = hold_out(log, log.tick(cutoff), ahead, period)
    rows: list[Row] = []
    again: list[Row] = []
    outlooks: dict[str, Outlook] = {}
    fitted: dict[str, EventModel] = {}

    def run(name: str, model: EventModel) -> tuple[Row, Outlook]:
        started = time.perf_counter()
        model.fit(holdout.train)
        fit_s = time.perf_counter() - started
        started = time.perf_counter()
        outlook = model.outlook(holdout.train, ahead, period=period, window=window)
        return _score(name, outlook, holdout, window, (fit_s, time.perf_counter() - started)), outlook

    for entry in model_names() if models is None else models:
        model = build_model(entry) if isinstance(entry, str) else copy.copy(entry)
        name = free_name(model.name, fitted)
        again += [run(name, other)[0] for other in other_seeds(model, seeds)]
        row, outlooks[name] = run(name, model)
        rows.append(row)
        fitted[name] = model
    ranked = tuple(sorted(rows, key=_rank))
    return Leaderboard(ranked, holdout, outlooks, fitted, tuple(again))


def _score(name: str, outlook: Outlook, holdout: Holdout, window: int, seconds: tuple[float, float]) -> Row:
    """Return a model's figures."""
    came_back = holdout.next_event <= holdout.end
    within = holdout.returned_within(window)
    p_return = None if within is None else outlook.p_return
    return Row(
        model=name,
        rmse=_scored(metrics.rmse, holdout.count, outlook.expected),
        mae=_scored(metrics.mae, holdout.count, outlook.expected),
        bias_pct=_scored(metrics.bias_pct, holdout.count, outlook.expected),
        weekly_mape_pct=_scored(metrics.weekly_mape_pct, holdout.cohort, outlook.cohort),
        brier_30d=None if within is None or p_return is None else metrics.brier(within, p_return),
        auc_active=None if outlook.p_active is None else _told(metrics.auc(came_back, outlook.p_active)),
        coverage_80=None
        if outlook.interval is None
        else _told(metrics.coverage(holdout.next_event[came_back], outlook.interval[came_back])),
        fit_s=seconds[0],
        predict_s=seconds[1],
        ece_30d=None
        if within is None or p_return is None
        else metrics.expected_calibration_error(within, p_return),
        correlation=_scored(metrics.correlation, holdout.count, outlook.expected),
    )


def _rank(row: Row) -> tuple[bool, float]:
    """Return what the leaderboard is sorted by."""
    figure = row.rmse if row.rmse is not None else row.brier_30d
    return row.rmse is None, math.inf if figure is None else figure


def _scored(metric: Callable[[Any, Any], float], actual: Any, forecast: Any) -> float | None:
    """Return a figure of a forecast; None where there is no forecast."""
    return None if forecast is None else _told(metric(actual, forecast))


def _told(figure: float) -> float | None:
    """Return None for a figure that the data could not tell: NaN is not JSON."""
    return figure if math.isfinite(figure) else None


def _shown(value: str | float | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
