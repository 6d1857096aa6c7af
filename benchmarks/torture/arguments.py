"""Calls of the Python interface with one argument of a strange kind: taken, or refused in our words."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import decimal
import fractions
import functools
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.torture.harness import raised
from benchmarks.torture.models import FIXTURES
from benchmarks.torture.tables import pick

import foretell as ft
from foretell import distributed, plotting
from foretell.baselines import MBGNBD, MeanGap, Naive, SeasonalNaive
from foretell.errors import ForetellError

_STRANGE = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        7,
        80,
        10**30,
        -(10**30),
        12_345_678_901_234_567_890,
        0.8,
        1.5,
        1e308,
        -0.0,
        1j,
    ),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        " ",
        "x",
        "7d",
        "7",
        "80",
        "-7d",
        "1e9 years",
        "99999-01-01",
    ),
    *(
        "0001-01-01",
        "9999-12-31",
        "2024-02-30",
        "now",
        "\x00",
        "a\x00b",
        "x" * 5_000,
        "~nobody-here/x",
        "日",
        b"x",
    ),
    *((), [], {}, set(), [None], [[]], [[80]], [0.8], [80], ["80"], [80, None], ["7d", None], ["7d", "7d"]),
    *([1, "1"], [float("nan")], [float("inf")], [10**30], [True], [{}], {"a": 1}, {80}, range(3)),
    *(
        dt.date.max,
        dt.date.min,
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        dt.timedelta(days=7),
        dt.timedelta.max,
    ),
    *(dt.time(12), np.int64(7), np.float32(0.5), np.float64("nan"), np.bool_(1), np.datetime64("NaT")),
    *(
        np.datetime64(10**15, "Y"),
        np.timedelta64("NaT"),
        np.timedelta64(10**15, "W"),
        np.str_("7d"),
        np.array([]),
    ),
    *(np.array(80), np.array([80.0]), np.array([["a"]]), np.array([None]), decimal.Decimal("NaN")),
    *(
        decimal.Decimal(7),
        fractions.Fraction(1, 3),
        Path("x"),
        Path(),
        Path("/dev/null"),
        Path("/proc/self/mem"),
    ),
    *(Path("/nowhere/x" * 400), type, print, Ellipsis, np.ma.masked),
)
# Made anew for each call: an iterator is good for one.
STRANGE: tuple[Callable[[], object], ...] = (
    *(functools.partial(copy.copy, value) for value in _STRANGE),
    *(
        object,
        lambda: iter([80]),
        lambda: (k for k in ["7d"]),
        lambda: pl.Series([80]),
        lambda: pl.Series(["x"]),
    ),
    *(pl.DataFrame, lambda: pl.LazyFrame({"a": [1]}), lambda: memoryview(b"x")),
)


@dataclasses.dataclass(frozen=True)
class World:
    """What right calls need: data, fitted models, and paths of every kind."""

    place: Path
    visits: pl.DataFrame
    sales: pl.DataFrame
    log: ft.EventLog
    panel: ft.Panel
    gaps: MeanGap
    buyers: MBGNBD
    naive: Naive
    prior: ft.EventForecaster
    network: ft.EventForecaster
    later: ft.EventLog
    ahead: ft.SeriesForecaster
    evaluation: object


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@functools.cache
def world() -> World:
    """Return a small shop, read and fitted once."""
    place = Path(_folder().name)
    rng = np.random.default_rng(0)
    days = pl.date_range(pl.date(2023, 1, 1), pl.date(2024, 4, 30), eager=True)
    visits = pl.DataFrame(
        {
            "who": np.repeat(np.arange(30), 8),
            "day": days.gather(rng.integers(0, len(days), 240)),
            "amount": 1.5,
            "shop": "a",
        }
    )
    sales = pl.DataFrame({"unique_id": "east", "ds": days, "y": np.sin(np.arange(len(days)))})
    log = ft.read_events(visits, id="who", time="day", marks="amount", group="shop", as_of="2024-04-30")
    panel = ft.read_series(sales)
    gaps, naive = MeanGap().fit(log), Naive(horizon=7).fit(panel)
    gaps.save(place / "model")
    visits.write_csv(place / "visits.csv")
    (place / "locked").mkdir(mode=0)
    os.mkfifo(place / "pipe.csv")
    evaluation = ft.evaluate(log, "2023-12-31", "60d", ["mean gap"])
    prior = ft.EventForecaster(model="prior").fit(log)
    ahead = ft.SeriesForecaster(7, model="prior").fit(panel)
    buyers = MBGNBD().fit(log)
    network = ft.load(FIXTURES / "v1" / "events_mixture" / "model")
    later = ft.read_events(visits, id="who", time="day", marks="amount", group="shop", start="2024-02-01")
    return World(
        place, visits, sales, log, panel, gaps, buyers, naive, prior, network, later, ahead, evaluation
    )  # fmt: skip


def calls(w: World, out: Path) -> dict[str, tuple[Callable[..., object], Mapping[str, object]]]:
    """Return right calls by name, each with all arguments that may go wrong."""
    who = w.network.log_.ids[0]
    read = {
        "id": "who",
        "time": "day",
        "time_format": None,
        "time_zone": None,
        "as_of": "2024-04-30",
        "start": "2023-01-01",
        "ids": None,
        "exclude": None,
        "strays": "keep",
        "encoding": None,
        "sheet": None,
        "query": None,
        "table": None,
        "chunk_rows": 10,
    }
    visits = read | {
        "marks": ["amount"],
        "group": None,
        "unit": "day",
        "merge": "auto",
        "min_events": 1,
        "refunds": "net",
        "duplicates": "drop",
        "holidays": None,
        "static": (),
        "categorical": (),
        "customers": None,
        "calendar": None,
    }
    series = (
        read
        | {"id": "unique_id", "time": "ds"}
        | {
            "target": "y",
            "past": (),
            "future": (),
            "static": (),
            "categorical": (),
            "freq": "1d",
            "closed": "infer",
            "duplicates": "error",
        }
    )
    ask = {"horizons": ["7d"], "levels": [80], "ids": [3]}
    steps = {"horizon": 7, "levels": [80]}
    arrays = {
        "series": {"a": [1.0, 2.0, 3.0]},
        "freq": "1d",
        "start": "2024-01-01",
        "targets": None,
        "static": None,
    }
    return {
        "read_events": (ft.read_events, {"source": w.visits} | visits),
        "read_events, a file": (ft.read_events, {"source": w.place / "visits.csv"} | visits),
        "read_series": (ft.read_series, {"source": w.sales} | series),
        "Panel.from_arrays": (ft.Panel.from_arrays, arrays | {"past": None, "future": None}),
        "aggregate": (ft.aggregate, {"log": w.log, "every": "1w", "sum": (), "count": None, "by": None}),
        "log.until": (w.log.until, {"when": "2024-01-01"}),
        "log.select": (w.log.select, {"ids": [1, 2]}),
        "log.ticks_of": (w.log.ticks_of, {"duration": "7d", "from_": None}),
        "log.reaching": (w.log.reaching, {"as_of": "2024-04-01"}),
        "panel.until": (w.panel.until, {"when": "2024-01-01"}),
        "panel.select": (w.panel.select, {"ids": ["east"]}),
        "panel.tail_split": (w.panel.tail_split, {"h": 7}),
        "mean gap fit": (
            lambda **k: MeanGap().fit(**k),
            {"data": w.log, "as_of": "2024-03-31", "warm_start": None},
        ),
        "mean gap predict": (w.gaps.predict, ask),
        "mean gap blocks": (lambda **k: list(w.gaps.predict_blocks(**k)), ask | {"size": 10}),
        "mean gap shortlist": (
            w.buyers.shortlist,
            {"top": 5, "horizon": "30d", "min_chance": 0.0, "value": "amount", "where": (), "language": "en"},
        ),
        "mbg predict": (w.buyers.predict, ask),
        "mbg quantiles": (w.buyers.quantiles, {"levels": [0.1, 0.9], "ids": [3]}),
        "mean gap update": (MeanGap().fit(w.log.until("2024-01-31")).update, {"new_events": w.later}),
        "naive": (lambda **k: Naive(**k).fit(w.panel), {"horizon": 7}),
        "seasonal naive": (lambda **k: SeasonalNaive(**k).fit(w.panel), {"horizon": 7, "season": 7}),
        "naive predict": (w.naive.predict, {"panel": None} | steps),
        "prior predict": (w.prior.predict, ask),
        "prior totals": (
            w.prior.predict_totals,
            {"horizon": "30d", "by": "week", "levels": [80], "ids": [3, 4]},
        ),
        "prior cohort": (w.prior.predict_cohort, {"horizon": "30d", "period": "7d"}),
        "prior groups": (w.prior.predict_groups, {"horizons": ["7d"]}),
        "network gap": (w.network.predict_gap, {"levels": [80], "ids": [who]}),
        "network bins": (w.network.predict_bins, {"bins": [1.0, 7.0], "ids": [who]}),
        "network simulate": (w.network.simulate, {"horizon": "30d", "paths": 10, "seed": 1}),
        "prior counts": (w.prior.predict_counts, {"horizon": "30d", "ids": [3]}),
        "prior update": (
            lambda **k: copy.copy(w.prior).update(**k),
            {"new_events": None, "as_of": "2024-05-31"},
        ),
        "series predict": (w.ahead.predict, {"panel": None, "disagreement": False} | steps),
        "series totals": (
            w.ahead.predict_totals,
            {"horizon": 7, "by": None, "levels": [80], "ids": ["east"]},
        ),
        "events forecaster": (
            lambda **k: ft.EventForecaster(**k).fit(w.log),
            {
                "model": "prior",
                "ensemble": 1,
                "seed": 0,
                "network": None,
                "training": None,
                "head": "mixture",
            },
        ),
        "series forecaster": (
            lambda **k: ft.SeriesForecaster(**k).fit(w.panel),
            {
                "model": "prior",
                "horizon": 7,
                "ensemble": 1,
                "seed": 0,
                "network": None,
                "training": None,
                "window": None,
            },
        ),
        **{kind.__name__: (kind, _defaults(kind)) for kind in CONFIGURATIONS},
        "Between": (ft.Between, {"low": 1, "high": 2, "log": False}),
        "evaluate": (
            ft.evaluate,
            {
                "data": w.log,
                "cutoff": "2024-01-31",
                "horizon": "60d",
                "models": ["mean gap"],
                "season": None,
                "seeds": 1,
            },
        ),
        "backtest": (
            ft.backtest,
            {
                "data": w.log,
                "models": ["mean gap"],
                "horizon": "60d",
                "cutoffs": ["2023-12-31"],
                "config": None,
                "out": None,
            },
        ),
        "backtest of series": (
            ft.backtest,
            {"data": w.panel, "models": ["naive"], "horizon": 7, "cutoffs": 1, "config": None},
        ),
        "tune": (
            ft.tune,
            {"data": w.log, "space": {}, "model": None, "horizon": None, "objective": None, "search": None},
        ),
        "explain": (ft.explain, {"model": w.network, "id": who, "horizon": "30d", "target": None}),
        "anomalies": (ft.anomalies, {"model": w.network, "data": None, "level": 99}),
        "load": (ft.load, {"path": w.place / "model", "data": None}),
        "save": (w.gaps.save, {"path": out / "model", "data": True}),
        "write_tables": (
            ft.write_tables,
            {"tables": w.visits, "target": out / "x.csv", "table": None, "if_exists": None, "part": False},
        ),
        "write_report": (ft.write_report, {"source": w.evaluation, "path": out / "x.html"}),
        "save_json": (w.evaluation.save_json, {"path": out / "x.json"}),
        "plot.save": (lambda **k: plotting.save(plotting.plot_shop(w.prior), **k), {"path": out / "x.svg"}),
        "partition": (
            distributed.partition,
            {
                "source": w.visits,
                "place": out / "parts",
                "partitions": 2,
                "id": "who",
                "time": "day",
                "as_of": "2024-04-30",
            },
        ),
        "Partitions.open": (distributed.Partitions.open, {"place": out / "parts"}),
    }


CONFIGURATIONS = (
    *(ft.HeadConfig, ft.NetworkConfig, ft.TrainConfig, ft.WindowConfig, ft.BacktestConfig, ft.SearchConfig),
)


def _defaults(kind: type) -> dict[str, object]:
    fields = dataclasses.fields(kind)
    return {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}


def strange(rng: np.random.Generator, w: World, name: str) -> object:
    """Return something that is most likely not what an argument may be."""
    paths = ("model", "visits.csv", "locked", "locked/x", "nowhere/x", "model/model.json", "")
    if name == "source":  # what is written to a pipe waits for its reader
        paths += ("pipe.csv",)
    if name in ("source", "path", "place", "target", "out") and rng.random() < 0.4:
        return w.place / str(pick(rng, paths))
    return pick(rng, STRANGE)()


def trial(rng: np.random.Generator, place: Path) -> str:
    """Make one call with one strange argument."""
    w = world()
    known = calls(w, place)
    name = str(pick(rng, tuple(known)))
    function, arguments = known[name]
    argument = str(pick(rng, tuple(arguments)))
    value = strange(rng, w, argument)
    try:
        function(**arguments | {argument: value})
    except ForetellError:
        return "refused"
    except BaseException as error:  # noqa: BLE001  # panics of polars are no Exception
        return f"{raised(error)}; {name}: {argument}={_brief(value)}"
    return "taken"


def _brief(value: object) -> str:
    try:
        return repr(value)[:80]
    except BaseException as error:  # noqa: BLE001  # things that cannot even be shown
        return f"{type(value).__name__}, {error!r}"
