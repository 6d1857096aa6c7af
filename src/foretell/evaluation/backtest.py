"""`backtest`: the same models at several cut-offs, one after the other, as they would have been used."""

from __future__ import annotations

import copy
import json
import math
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import DataError, ParameterError, StorageError
from foretell.evaluation.event_folds import EventFolds
from foretell.evaluation.folds import Folds, Refit, Training, check_policy, fresh, is_refitted
from foretell.evaluation.referee import FEW, Verdict, judge
from foretell.evaluation.series_folds import SeriesFolds

FloatArray = npt.NDArray[np.float64]


class Backtest:
    """What models said at each cut-off, and what came.

    The rows lie in files, one for each fold, and are read when they are asked for: memory does not grow with
    the folds. Without ``out`` the files are temporary and go with this object.

    Attributes
    ----------
    cutoffs : tuple
        Date (time) of each cut-off.
    names : tuple of str
        The models.
    seconds : polars.DataFrame
        ``cutoff``, ``model``, ``refitted``, ``fit_s``, ``predict_s``.
    folds : EventFolds or SeriesFolds
        How the data were cut.
    """

    def __init__(self, folds: Folds, names: Sequence[str], place: Path, *, temporary: bool) -> None:
        self.folds, self.names = folds, tuple(names)
        self.cutoffs = tuple(folds.label(k) for k in range(len(folds.origins)))
        self.seconds = pl.DataFrame()
        self._place = place
        if temporary:
            weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)

    def __repr__(self) -> str:
        return f"Backtest({len(self.cutoffs)} folds, {', '.join(self.names)})"

    def __str__(self) -> str:
        first, last = self.cutoffs[0], self.cutoffs[-1]
        head = f"{len(self.cutoffs)} cut-offs from {first} to {last}, all folds together"
        with pl.Config(tbl_rows=-1, tbl_cols=-1, float_precision=4, tbl_hide_dataframe_shape=True):
            return f"{head}\n{self.scores(pooled=True)}\n{self.verdict()}"

    @property
    def unit(self) -> str:
        """What one tick is: ``"day"`` or ``"hour"`` of visits, ``"step"`` of series."""
        return self.folds.unit

    def table(self) -> pl.DataFrame:
        """Return all rows: ``cutoff``, ``unique_id``, ``model``, ``y``, ``forecast`` and more.

        Of visits one row per customer: ``y`` and ``forecast`` count the events within the horizon;
        ``returned`` and ``p_return`` are of 30 days, ``next_event`` comes with its 80 % interval, ``crps``
        and, of who came, the place of the truth in the distribution given that (``pit_lo``, ``pit_hi``).
        Of series one row per step ``ds`` (and ``target``): the median ``forecast``, its 80 % interval, the
        other quantiles ``q0.2`` …, and the ``scale`` of MASE. What is not known is null.
        """
        return self.scan().collect()

    def scan(self) -> pl.LazyFrame:
        """Return `table` to be reduced before it is read; keep this object until it is collected."""
        return pl.scan_parquet(self._place / "fold_*.parquet")

    def fold(self, number: int) -> pl.DataFrame:
        """Return the rows of one fold, counted from 0."""
        return pl.read_parquet(self._place / _file(number))

    def scores(self, *, pooled: bool = False) -> pl.DataFrame:
        """Return the figures of each cut-off and model, or of each model over all; the best first."""
        keys = ["model"] if pooled else ["cutoff", "model"]
        found = self.scan().group_by(keys).agg(**self.folds.figures).collect(engine="streaming")
        time_spent = self.seconds.group_by(keys).agg(pl.col("fit_s", "predict_s").sum())
        order = [*keys[:-1], self.folds.order, "model"]
        return found.join(time_spent, on=keys).sort(order, nulls_last=True)

    def losses(self) -> dict[str, FloatArray]:
        """Return each model's mean loss by customer (series), over the folds, in one order."""
        units = list(self.folds.units)
        if self.scan().select(pl.struct(units).n_unique()).collect().item() < FEW:
            units.append("cutoff")  # of few series, each is resampled fold by fold
        found = (
            self.scan()
            .group_by([*units, "model"])
            .agg(loss=self.folds.loss.mean())
            .collect(engine="streaming")
            .pivot("model", index=units, values="loss")
            .sort(units)
        )
        return {name: found[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in self.names}

    def verdict(self) -> Verdict:
        """Say which model to use, and how sure that is; see `foretell.evaluation.referee.judge`."""
        return judge(self.losses(), root=self.folds.root)

    def to_json(self) -> str:
        """Return ``{"rows": [… by cut-off], "pooled": […], "cutoffs", "verdict"}``."""
        content = {
            "rows": _plain(self.scores()),
            "pooled": _plain(self.scores(pooled=True)),
            "cutoffs": [str(one) for one in self.cutoffs],
            "verdict": str(self.verdict()),
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def save_json(self, path: str | Path) -> None:
        """Write `to_json` to a file."""
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")


def backtest(
    data: EventLog | Panel,
    models: Sequence[Any] | None = None,
    *,
    horizon: str | int,
    cutoffs: Sequence[Any] | None = None,
    n_folds: int = 4,
    step: str | int | None = None,
    refit: Refit = "always",
    training: Training = "expanding",
    season: int | None = None,
    out: str | Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Backtest:
    """Let models forecast at several cut-offs, as they would have been used, and compare.

    At each cut-off a model sees the data up to it and nothing later, and starts from its settings alone.

    Parameters
    ----------
    data : EventLog or Panel
    models : sequence of models or str, optional
        Models, or their names; by default ours and the statistics and rules that it has to beat.
    horizon : str or int
        What is forecast at each cut-off: of visits a duration such as ``"90d"``, of series steps.
    cutoffs : sequence of dates, optional
        By default ``n_folds`` of them, ``step`` apart, the last one a horizon before the end.
    n_folds : int
    step : str or int, optional
        By default the horizon, so that no day is forecast twice.
    refit : {"always", "never", "warm"} or int
        Fit at every cut-off; at the first only; from the last fold's weights with few epochs (of models that
        can: ours); or at every k-th.
    training : {"expanding", "sliding"}
        All that lies before a cut-off, or a period as long as the first fold's. Of visits a sliding period
        holds the customers who first came in it, with their whole histories. Forecasts are made for all.
    season : int, optional
        Of series: steps of the season; by default it is found in what the first fold sees.
    out : str or Path, optional
        Directory that keeps the rows of each fold as a Parquet file.
    progress : callable, optional
        Hears fold, number of folds, and model before each fit.

    Returns
    -------
    Backtest

    Examples
    --------
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3] * 8, "b": [5, 1, 3] * 8})
    >>> found = ft.backtest(panel, ["naive", "seasonal naive"], horizon=3, n_folds=2, season=3)
    >>> found.scores(pooled=True)["model"].to_list()
    ['seasonal naive', 'naive']
    """
    check_policy(refit, training)
    folds = _folds(data, horizon, cutoffs, n_folds, step, season)
    templates = folds.models(models)
    place = _place(out)
    result = Backtest(folds, list(templates), place, temporary=out is None)
    fitted: dict[str, Any] = {}
    seconds = []
    for k in range(len(folds.origins)):
        parts = []
        again = is_refitted(k, refit)
        for name, template in templates.items():
            if progress is not None:
                progress(k, len(folds.origins), name)
            started = time.perf_counter()
            if again:
                seen = folds.training(k, sliding=training == "sliding")
                fitted[name] = _fit(template, seen, fitted.get(name) if refit == "warm" else None)
            fit_s = time.perf_counter() - started
            started = time.perf_counter()
            # A copy, so that what a model keeps of one forecast is not there at the next.
            parts.append(folds.answers(k, name, copy.copy(fitted[name])))
            spent = {"fit_s": fit_s, "predict_s": time.perf_counter() - started}
            seconds.append({"cutoff": result.cutoffs[k], "model": name, "refitted": again, **spent})
        pl.concat(parts).write_parquet(place / _file(k))
    result.seconds = pl.DataFrame(seconds)
    return result


def _fit(template: Any, data: Any, previous: Any) -> Any:
    """Fit a fresh model; from the last fold's weights where there are some and the model can."""
    model = fresh(template)
    if previous is not None and getattr(model, "starts_warm", False):
        return model.fit(data, warm_start=previous)
    return model.fit(data)


def _folds(data: Any, horizon: Any, cutoffs: Any, n_folds: int, step: Any, season: int | None) -> Folds:
    if isinstance(data, EventLog):
        return EventFolds(data, horizon, cutoffs, n_folds, step)
    if isinstance(data, Panel):
        return SeriesFolds(data, horizon, cutoffs, n_folds, step, season)
    raise DataError(
        f"backtest takes an EventLog or a Panel, got {type(data).__name__}; read one with "
        "foretell.read_events or foretell.read_series"
    )


def _place(out: str | Path | None) -> Path:
    if out is None:
        return Path(tempfile.mkdtemp(prefix="foretell-backtest-"))
    place = Path(out)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ParameterError(f"out={str(out)!r} exists and is not an empty directory; choose another")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror}") from error
    return place


def _file(fold: int) -> str:
    return f"fold_{fold:04d}.parquet"


def _plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows for JSON: dates as text, what is not finite as null."""

    def told(value: Any) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return value if value is None or isinstance(value, (int, str)) else str(value)

    return [{key: told(value) for key, value in row.items()} for row in frame.to_dicts()]
