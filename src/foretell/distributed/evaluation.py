"""A backtest whose models are fitted to a sample and asked about every customer, partition by partition."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from foretell.data.log import EventLog
from foretell.distributed.cluster import Cluster
from foretell.distributed.partitions import Partitions
from foretell.distributed.scoring import bare
from foretell.errors import EmptyLogError
from foretell.evaluation.backtest import BacktestConfig, run_folds
from foretell.evaluation.folds import EventFolds
from foretell.evaluation.tasks import EVENTS

if TYPE_CHECKING:
    from foretell.core.contracts import EventModel
    from foretell.evaluation.evaluation import Evaluation, Model


@dataclasses.dataclass(frozen=True)
class _Answers:
    """What a model forecast for all customers of a fold, beside what came; and the totals of all by week."""

    rows: pl.DataFrame
    totals: pl.DataFrame


class PartitionedFolds:
    """See `foretell.core.contracts.Folds`: models learn from a sample, and are asked about everybody."""

    def __init__(self, visits: Partitions, cluster: Cluster, sample: EventFolds) -> None:
        self.visits, self.cluster, self.sample = visits, cluster, sample
        self.origins, self.horizon, self.unit = sample.origins, sample.horizon, sample.unit
        self._sizes: dict[str, object] = {}

    def label(self, fold: int) -> object:
        """Return the date of a cut-off."""
        return self.sample.label(fold)

    def model_settings(self) -> dict[str, object]:
        """Models of visits know all from the log."""
        return {}

    def seen(self, fold: int) -> EventLog:
        """Return the sample as it stood at the cut-off."""
        return self.sample.seen(fold)

    def training(self, fold: int, *, sliding: bool) -> EventLog:
        """Return what a model is fitted to."""
        return self.sample.training(fold, sliding=sliding)

    def ask(self, fold: int, model: EventModel) -> _Answers:
        """Return a fitted model's forecasts for the customers known by the cut-off, in order of their ids."""
        origin, horizon = self.label(fold), self.sample.horizons[fold]
        parts = ((number, self.visits, origin, horizon) for number in range(self.visits.count))
        answers = [part for part in self.cluster.run(_ask, parts, bare(model)) if part is not None]
        if not answers:
            raise EmptyLogError(f"no customer was seen by {origin}: choose a later cut-off")
        totals = pl.concat(part.totals for part in answers)
        return _Answers(
            pl.concat(part.rows for part in answers).sort("unique_id"),
            totals.group_by("period").agg(pl.col("y").sum(), _sum_or_null("forecast")).sort("period"),
        )

    def rows(self, fold: int, model: EventModel, forecast: _Answers) -> pl.DataFrame:
        """Return one row per customer known by the cut-off."""
        del model
        truth = self.sample.held_back(fold)
        sizes = {"n_customers": forecast.rows.height, "n_events": int(forecast.rows["y"].sum())}
        dates = {"cutoff": truth.cutoff, "end": truth.end}
        self._sizes = sizes | {name: str(self.sample.log.date(tick)) for name, tick in dates.items()}
        return forecast.rows

    def totals(self, fold: int, forecast: _Answers) -> pl.DataFrame:
        """Return the events of all together by week."""
        del fold
        return forecast.totals

    def summary(self) -> dict[str, object]:
        """Return the number of customers, and the dates of the last fold."""
        return self._sizes

    def headline(self) -> str:
        """Return who is forecast in the last fold."""
        what = self.summary()
        return (
            f"{what['n_customers']:,} customers seen by {what['cutoff']}, forecast to {what['end']}: "
            f"{what['n_events']:,} events"
        )


def backtest(
    visits: Partitions,
    models: Sequence[str | Model] | None = None,
    *,
    sample: EventLog | None = None,
    horizon: str | int,
    cutoffs: Sequence[object] | int = 4,
    out: str | Path | None = None,
    cluster: Cluster | None = None,
) -> Evaluation:
    """Let models that are fitted to a sample forecast for all customers at several cut-offs, and compare.

    Parameters
    ----------
    visits : Partitions
    models : sequence of models or str, optional
    sample : EventLog, optional
        What the models are fitted to, such as ``visits.log([0, 1])``; by default the first partition.
    horizon, cutoffs, out
        As `foretell.backtest` takes them.
    cluster : Cluster, optional

    Returns
    -------
    Evaluation
        That of `foretell.backtest`; its ``train`` is the sample.
    """
    cluster = cluster or Cluster()
    sample = visits.log(0) if sample is None else sample
    if sample is None:
        raise EmptyLogError("the first partition holds no visits; name a sample to fit the models to")
    folds = PartitionedFolds(visits, cluster, EventFolds(sample, horizon, cutoffs))
    with cluster.connected():
        return run_folds(EVENTS, folds, models, BacktestConfig(), out=out)


def _ask(model: EventModel, number: int, visits: Partitions, origin: object, horizon: int) -> _Answers | None:
    """Return the forecasts for a partition; run by a worker."""
    log = visits.log(number)
    if log is None or not (log.first <= log.last_tick(origin)).any():
        return None
    folds = EventFolds(log, horizon, [origin])
    forecast = folds.ask(0, model)
    return _Answers(folds.rows(0, model, forecast), folds.totals(0, forecast))


def _sum_or_null(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_not_null().all()).then(pl.col(name).sum())
