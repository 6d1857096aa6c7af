"""The leaderboard: the protocol, the truth, the tables."""

import dataclasses
import itertools
import json

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.baselines import RepeatRate
from foretell.core.contracts import Outlook
from foretell.core.time import period_edges
from foretell.data.holdout import hold_out
from foretell.errors import EmptyLogError, ParameterError
from foretell.evaluation.tasks import EVENTS

ROW = ["model", "rmse", "mae", "bias_pct", "weekly_mape_pct", "brier_30d", "auc_active", "coverage_80"]


class Oracle:
    """Knows the whole log: what evaluate should call perfect."""

    name = "oracle"

    def __init__(self, whole, **overrides):
        self.whole, self.overrides = whole, overrides

    def fit(self, log):
        self.seen_ = log
        return self

    def outlook(self, log, horizon, *, period, window):
        truth = hold_out(self.whole, log.as_of, horizon, period)
        never = truth.next_event > truth.end
        next_event = np.where(never, log.as_of + 1, truth.next_event)
        outlook = Outlook(
            expected=truth.count.astype(float),
            cohort=truth.cohort.astype(float),
            p_return=(truth.next_event <= log.as_of + window).astype(float),
            p_active=1.0 - never,
            interval=np.stack([next_event, next_event], axis=-1),
        )
        return dataclasses.replace(outlook, **self.overrides)


@pytest.fixture(scope="module", params=["day", "hour"])
def log(request):
    rng = np.random.default_rng(5)
    start = np.datetime64("2024-01-01T00", "h")
    # Some sixty regulars, and a tail of customers who come once or twice.
    who = rng.integers(0, 60, 900) + 60 * (rng.random(900) < 0.1)
    hours = rng.integers(0, 24 * 300, 900)
    frame = pl.DataFrame({"who": who, "when": (start + hours).astype("datetime64[us]")})
    return ft.read_events(
        frame,
        id="who",
        time="when",
        unit=request.param,
        merge="day",
        start="2024-01-01",
        as_of=str((start + 24 * 300 - 1).astype("datetime64[D]")),
    )


def test_a_perfect_forecast_has_perfect_figures(log):
    figures = ft.evaluate(log, "2024-06-01", "90d", [Oracle(log)]).figures("oracle")
    assert [figures[name] for name in ("rmse", "mae", "bias_pct", "weekly_mape_pct", "brier_30d")] == [0] * 5
    assert [figures[name] for name in ("auc_active", "coverage_80", "ece_30d")] == [1, 1, 0]


def test_truth_is_counted_after_the_cutoff_to_the_end_of_the_horizon_inclusive(log):
    cutoff, horizon, period = log.last_tick("2024-06-01"), log.ticks_of("80d"), log.ticks_of("7d")
    truth = hold_out(log, cutoff, horizon, period)
    edges = [cutoff, *(cutoff + period_edges(horizon, period))]
    for k, who in enumerate(truth.train.ids):
        times = log.times[log.owner == log.ids.to_list().index(who)]
        future = times[times > cutoff]
        assert truth.count[k] == np.sum(future <= cutoff + horizon)
        assert truth.next_event[k] == (future[0] if len(future) else np.iinfo(np.int64).max)
    known = np.isin(log.owner, np.flatnonzero(log.first <= cutoff))
    times = log.times[known]
    counted = [np.sum((times > before) & (times <= end)) for before, end in itertools.pairwise(edges)]
    np.testing.assert_array_equal(truth.cohort, counted)


def test_models_see_nothing_after_the_cutoff(log):
    board = ft.evaluate(log, "2024-06-01", "90d", [Oracle(log)])
    seen = board.models["oracle"].seen_
    assert seen.as_of == log.last_tick("2024-06-01")
    assert seen.times.max() <= seen.as_of


def test_what_a_model_does_not_tell_is_null_and_not_invented(log):
    silent = Oracle(log, p_return=None, p_active=None, interval=None)
    row = json.loads(ft.evaluate(log, "2024-06-01", "90d", [silent]).to_json())["rows"][0]
    assert [row[name] for name in ("brier_30d", "auc_active", "coverage_80", "ece_30d")] == [None] * 4


def test_the_30_day_figures_need_30_observed_days(log):
    cutoff = log.date(log.as_of - log.ticks_of("20d"))
    assert ft.evaluate(log, cutoff, "7d", [Oracle(log)]).figures("oracle")["brier_30d"] is None
    earlier = log.date(log.as_of - log.ticks_of("30d"))
    assert ft.evaluate(log, earlier, "7d", [Oracle(log)]).figures("oracle")["brier_30d"] == 0


def test_a_horizon_past_the_end_of_the_log_is_refused_with_the_dates(log):
    with pytest.raises(ParameterError, match=r"ends 2024-10-26.*cut-off 2024-09-01.*up to 2024-11-30"):
        ft.evaluate(log, "2024-09-01", "90d", [Oracle(log)])


def test_a_cutoff_before_the_first_event_is_refused(log):
    with pytest.raises(EmptyLogError, match="no events are left up to 2023-01-01"):
        ft.evaluate(log, "2023-01-01", "90d", [Oracle(log)])


class Poor(RepeatRate):
    """A network that is far off."""

    name = "foretell"
    is_ours = True

    def _expected(self, histories, ticks):
        return super()._expected(histories, ticks) + 9.0


def test_the_verdict_ends_with_the_command_that_fits_the_better_statistic(log):
    verdict = ft.evaluate(log, "2024-06-01", "90d", ["repeat rate", Poor()]).verdict()
    assert verdict.use == "repeat rate"
    assert verdict.command == "foretell fit … --model repeat-rate"
    assert str(verdict).endswith(f"use that: {verdict.command}")


def test_the_board_is_sorted_by_rmse_and_told_in_three_ways(log, tmp_path):
    board = ft.evaluate(log, "2024-06-01", "90d", ["repeat rate", Oracle(log)])
    assert board.table()["model"].to_list() == ["oracle", "repeat rate"]
    assert board.table().columns[:8] == ROW
    assert board.table().columns[-3:] == ["fit_s", "predict_s", "n"]
    board.save_json(tmp_path / "board.json")
    content = json.loads((tmp_path / "board.json").read_text("utf-8"))
    assert {"rows", "n_customers", "cutoff", "end", "verdict"} <= set(content)
    assert list(content["rows"][0])[:8] == ROW
    assert content["n_customers"] == board.train.n_customers
    assert content["cutoff"].startswith("2024-06-01")
    assert content["end"].startswith("2024-08-30")
    assert "customers seen by 2024-06-01" in str(board)
    assert "repeat rate" in str(board)


def test_two_settings_of_one_model_keep_apart(log):
    board = ft.evaluate(log, "2024-06-01", "90d", ["bg/nbd", "bg/nbd"])
    assert board.names == ("BG/NBD", "BG/NBD (2)")
    assert set(board.rows()["model"]) == set(board.models)


def test_a_model_that_was_handed_in_stays_as_it_was(log):
    model = Oracle(log)
    ft.evaluate(log, "2024-06-01", "90d", [model])
    assert not hasattr(model, "seen_")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        ParameterError, match="no model 'prophet' for events; expected one of 'foretell', 'pareto/nbd'"
    ):
        EVENTS.build("prophet")


@pytest.mark.parametrize("name", [name for name in EVENTS.defaults if name != "foretell"])
def test_every_baseline_is_built_by_its_name(name):
    assert EVENTS.build(name.upper()).name.lower() == name
